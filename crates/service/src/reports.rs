//! Reports of the relay in the three kinds of `sync` messages.

use sdk_relay_protocol::http::SyncMetrics;
use sdk_relay_protocol::{
    API_VERSION, HealthPayload, HealthReport, MetricsPayload, MetricsReport, StatePayload, StateReport, SyncPayload,
    SyncType,
};
use sdk_relay_telemetry::SOFTWARE_VERSION;

use crate::status::Status;

impl Status {
    /// The payload of a `sync` message of this type.
    pub fn payload(&self, sync_type: SyncType) -> SyncPayload {
        match sync_type {
            SyncType::StateSync => SyncPayload::State(StatePayload {
                state: self.state(),
                gossip: None,
            }),
            SyncType::HealthSync => SyncPayload::Health(HealthPayload {
                health: self.health_report(),
            }),
            SyncType::MetricsSync => SyncPayload::Metrics(MetricsPayload {
                metrics: self.metrics(),
            }),
        }
    }

    fn state(&self) -> StateReport {
        StateReport {
            uptime: self.uptime(),
            version: API_VERSION.to_owned(),
            network: self.0.settings.now().network.name().to_owned(),
            status: self.condition().0.as_str().to_owned(),
            last_block: self.0.vitals.tip(),
            connections: self.connections(),
            known_relays: self.known_relays(),
            mesh_connections: self.mesh_connections(),
            software_version: SOFTWARE_VERSION.to_owned(),
        }
    }

    fn health_report(&self) -> HealthReport {
        let figures = self.0.process.figures();
        HealthReport {
            status: self.condition().0.as_str().to_owned(),
            memory_usage: figures.memory_usage.clone(),
            cpu_usage: figures.cpu_usage.clone(),
            disk_usage: figures.disk_usage.clone(),
            network_latency: self.0.mesh.around().latency_ms,
            error_count: self.0.log.errors(),
            last_error: self.0.log.last_error(),
            memory_bytes: figures.memory_bytes,
            cpu_percent: figures.cpu_percent,
            disk_bytes: figures.disk_bytes,
        }
    }

    /// Sync metrics, as `GET /metrics` and `MetricsSync` report it.
    pub fn sync_metrics(&self) -> SyncMetrics {
        let metrics = &self.0.syncs;
        SyncMetrics {
            known_relays: self.known_relays(),
            mesh_connections: self.mesh_connections(),
            sync_requests: metrics.sync_requests.get(),
            sync_responses: metrics.sync_responses.get(),
            cache_hits: metrics.cache_hits.get(),
            cache_misses: metrics.cache_misses.get(),
            avg_latency: metrics.sync_latency_ms(),
            error_count: metrics.sync_errors.get(),
            success_rate: metrics.sync_success_rate(),
        }
    }

    fn metrics(&self) -> MetricsReport {
        let SyncMetrics {
            known_relays,
            mesh_connections,
            sync_requests,
            sync_responses,
            cache_hits,
            cache_misses,
            avg_latency,
            error_count,
            success_rate,
        } = self.sync_metrics();
        MetricsReport {
            known_relays,
            mesh_connections,
            sync_requests,
            sync_responses,
            cache_hits,
            cache_misses,
            avg_latency,
            error_count,
            success_rate,
            messages_per_second: self.0.rate.per_second(),
        }
    }
}
