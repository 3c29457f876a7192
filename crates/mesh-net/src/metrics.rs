//! What the mesh counts: links and syncs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sdk_relay_telemetry::Traffic;

/// Links to other relays, and syncs with relays and clients.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct MeshMetrics {
    /// Messages of links are counted with those of clients.
    pub(crate) traffic: Arc<Traffic>,
    pub mesh_connections: Gauge,
    pub sync_requests: Counter,
    pub sync_responses: Counter,
    pub sync_errors: Counter,
    pub sync_seconds: Counter<f64, AtomicU64>,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
}

impl MeshMetrics {
    /// `traffic` counts the messages of links.
    pub fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            traffic,
            ..Self::default()
        }
    }

    /// Registers all of them below `sdk_relay_`, except those of the traffic.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "mesh_connections",
            "Current links to other relays",
            self.mesh_connections.clone(),
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("sync_requests", "sync requests received and sent", &self.sync_requests);
        counter(
            "sync_responses",
            "sync responses received and sent",
            &self.sync_responses,
        );
        counter("sync_errors", "Failed syncs", &self.sync_errors);
        counter(
            "sync_cache_hits",
            "sync requests answered from the cache",
            &self.cache_hits,
        );
        counter(
            "sync_cache_misses",
            "sync requests not answered from the cache",
            &self.cache_misses,
        );
        let help = "Sum of the times from a sync request to its response, in seconds";
        registry.register_with_unit("sync", help, Unit::Seconds, self.sync_seconds.clone());
    }

    /// Mean time of a sync in milliseconds; `None` before the first.
    pub fn sync_latency_ms(&self) -> Option<f64> {
        let responses = self.sync_responses.get();
        (responses > 0).then(|| rounded(self.sync_seconds.get() * 1000.0 / responses as f64, 1000.0))
    }

    /// Percentage of syncs that did not fail; `None` before the first.
    pub fn sync_success_rate(&self) -> Option<f64> {
        let (good, bad) = (self.sync_responses.get(), self.sync_errors.get());
        (good + bad > 0).then(|| rounded(good as f64 * 100.0 / (good + bad) as f64, 100.0))
    }
}

/// To as many places as `scale` has zeros.
fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_and_success_are_unknown_before_the_first_sync() {
        let metrics = MeshMetrics::default();
        assert_eq!((metrics.sync_latency_ms(), metrics.sync_success_rate()), (None, None));
        metrics.sync_responses.inc_by(148);
        metrics.sync_errors.inc_by(2);
        metrics.sync_seconds.inc_by(0.296);
        assert_eq!(
            (metrics.sync_latency_ms(), metrics.sync_success_rate()),
            (Some(2.0), Some(98.67))
        );
    }

    #[test]
    fn seconds_are_in_the_text() {
        let mut registry = Registry::default();
        MeshMetrics::default().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("sdk_relay_sync_seconds_total 0.0\n"), "{text}");
    }
}
