//! What a relay's syncs report about it. Values that are not plausible are ignored.

use sdk_relay_protocol::SyncType;
use sdk_relay_protocol::http::RelayHealth;
use serde_json::{Map, Value};
use tokio::time::Instant;

/// Longest string, in bytes.
const TEXT_BYTES: usize = 64;
/// Longest uptime, in seconds: twenty years.
const LONGEST: u64 = 20 * 365 * 86_400;
/// Largest number that every JSON parser represents exactly.
const LARGEST: u64 = (1 << 53) - 1;
/// The Bitcoin networks.
const NETWORKS: [&str; 5] = ["mainnet", "testnet", "testnet4", "signet", "regtest"];

/// Reported values; `None` if there was none.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(
    missing_docs,
    reason = "they are the fields of the payloads (`sdk_relay_protocol::sync`)"
)]
pub struct Facts {
    pub health: Option<RelayHealth>,
    pub network: Option<String>,
    pub last_block: Option<u32>,
    pub connections: Option<u64>,
    pub software_version: Option<String>,
    pub sync_requests: Option<u64>,
    pub sync_responses: Option<u64>,
    pub avg_latency: Option<f64>,
    pub error_count: Option<u64>,
    pub success_rate: Option<f64>,
    /// It has sent a sync.
    pub syncs: bool,
    /// Its uptime, and when that was reported.
    uptime: Option<(u64, Instant)>,
}

impl Facts {
    /// Seconds since its start: the reported uptime plus the time since.
    pub fn uptime(&self) -> Option<u64> {
        self.uptime
            .map(|(reported, at)| reported.saturating_add(at.elapsed().as_secs()))
    }

    pub(crate) fn learn_from(&mut self, sync_type: SyncType, payload: Option<&Map<String, Value>>) {
        self.syncs = true;
        let part = match sync_type {
            SyncType::StateSync => "state",
            SyncType::HealthSync => "health",
            SyncType::MetricsSync => "metrics",
        };
        let Some(reported) = payload.and_then(|p| p.get(part)).and_then(Value::as_object) else {
            return;
        };
        match sync_type {
            SyncType::StateSync => self.state(reported),
            SyncType::HealthSync => keep(&mut self.health, health(reported)),
            SyncType::MetricsSync => self.metrics(reported),
        }
    }

    fn state(&mut self, reported: &Map<String, Value>) {
        keep(
            &mut self.uptime,
            number(reported, "uptime")
                .filter(|uptime| *uptime <= LONGEST)
                .map(|uptime| (uptime, Instant::now())),
        );
        keep(&mut self.health, health(reported));
        keep(
            &mut self.network,
            text(reported, "network").filter(|n| NETWORKS.contains(&n.as_str())),
        );
        keep(
            &mut self.last_block,
            number(reported, "last_block").and_then(|h| u32::try_from(h).ok()),
        );
        keep(&mut self.connections, number(reported, "connections"));
        keep(&mut self.software_version, text(reported, "software_version"));
    }

    fn metrics(&mut self, reported: &Map<String, Value>) {
        let share = |name| reported.get(name).and_then(Value::as_f64).filter(|n| *n >= 0.0);
        keep(&mut self.sync_requests, number(reported, "sync_requests"));
        keep(&mut self.sync_responses, number(reported, "sync_responses"));
        keep(&mut self.avg_latency, share("avg_latency"));
        keep(&mut self.error_count, number(reported, "error_count"));
        keep(&mut self.success_rate, share("success_rate").filter(|n| *n <= 100.0));
    }
}

/// Replaces a known value by a newly reported one.
fn keep<T>(known: &mut Option<T>, reported: Option<T>) {
    if reported.is_some() {
        *known = reported;
    }
}

fn health(reported: &Map<String, Value>) -> Option<RelayHealth> {
    reported
        .get("status")
        .and_then(Value::as_str)
        .and_then(RelayHealth::from_status)
}

fn number(reported: &Map<String, Value>, name: &str) -> Option<u64> {
    reported.get(name).and_then(Value::as_u64).filter(|n| *n <= LARGEST)
}

fn text(reported: &Map<String, Value>, name: &str) -> Option<String> {
    let text = reported.get(name).and_then(Value::as_str)?;
    let fits = (1..=TEXT_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn learn(facts: &mut Facts, sync_type: SyncType, payload: &Value) {
        facts.learn_from(sync_type, payload.as_object());
    }

    #[tokio::test(start_paused = true)]
    async fn plausible_values_are_recorded() {
        let mut facts = Facts::default();
        let state = json!({"state": {
            "uptime": 1800, "version": "1.0.0", "network": "signet", "status": "degraded", "last_block": 12345, "connections": 3,
            "software_version": "0.1.0"
        }});
        learn(&mut facts, SyncType::StateSync, &state);
        let metrics = json!({"metrics": {
            "sync_requests": 30, "sync_responses": 29, "avg_latency": 38.5, "error_count": 1, "success_rate": 96.67
        }});
        learn(&mut facts, SyncType::MetricsSync, &metrics);
        tokio::time::advance(Duration::from_secs(7)).await;
        let known = facts.clone();
        assert_eq!((known.uptime(), known.health), (Some(1807), Some(RelayHealth::Warning)));
        assert_eq!(
            (known.network.as_deref(), known.last_block),
            (Some("signet"), Some(12345))
        );
        assert_eq!(
            (known.connections, known.software_version.as_deref()),
            (Some(3), Some("0.1.0"))
        );
        assert_eq!((known.sync_requests, known.sync_responses), (Some(30), Some(29)));
        assert_eq!(
            (known.avg_latency, known.error_count, known.success_rate),
            (Some(38.5), Some(1), Some(96.67))
        );

        // Implausible values change nothing.
        let wrong = json!({"state": {
            "uptime": -1, "network": "moon", "status": "well", "last_block": 1_u64 << 40, "connections": "3",
            "software_version": "x".repeat(65)
        }});
        learn(&mut facts, SyncType::StateSync, &wrong);
        let wrong = json!({"metrics": {
            "sync_requests": 1.5, "sync_responses": null, "avg_latency": -1.0, "error_count": [], "success_rate": 100.1
        }});
        learn(&mut facts, SyncType::MetricsSync, &wrong);
        learn(
            &mut facts,
            SyncType::HealthSync,
            &json!({"state": {"status": "healthy"}}),
        );
        learn(&mut facts, SyncType::HealthSync, &Value::Null);
        // Nor do values beyond the limits.
        let wrong = json!({"state": {"uptime": u64::MAX, "connections": u64::MAX}});
        learn(&mut facts, SyncType::StateSync, &wrong);
        assert_eq!(facts, known);
        learn(
            &mut facts,
            SyncType::HealthSync,
            &json!({"health": {"status": "critical"}}),
        );
        assert_eq!(facts.health, Some(RelayHealth::Critical));
    }
}
