//! Everything that is counted, once: `/metrics` shows it as JSON and as text.
//!
//! What anybody may read counts no watch, no match and no message that carries one: held beside the mempool, such a
//! counter names the transaction that paid a client. Those have counters of their own ([`WatchCounters`]), which only
//! an administrator sees.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Counters since the start, and gauges of now.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct Counters {
    pub connections: Gauge,
    pub mesh_connections: Gauge,
    pub messages_received: Counter,
    pub messages_sent: Counter,
    pub notifications_sent: Counter,
    pub connections_refused: Counter,
    pub slow_clients_cut: Counter,
    pub unfinished_inputs_cut: Counter,
    pub http_requests: Counter,
    pub sync_requests: Counter,
    pub sync_responses: Counter,
    pub sync_errors: Counter,
    pub sync_seconds: Counter<f64, AtomicU64>,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
    pub payments_detected: Counter,
    pub payments_reverted: Counter,
    pub blocks_connected: Counter,
    pub blocks_disconnected: Counter,
    pub transactions_scanned: Counter,
    /// What watches bring about.
    pub watching: WatchCounters,
}

/// The counters that only an administrator sees. Errors are among them, as they answer watches too.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct WatchCounters {
    pub messages_received: Counter,
    pub messages_sent: Counter,
    pub payments_detected: Counter,
    pub error_replies: Counter,
}

impl WatchCounters {
    /// Registers all of them below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "watch_messages_received",
            "WebSocket messages about watches received from clients",
            &self.messages_received,
        );
        counter(
            "watch_messages_sent",
            "WebSocket messages about watches sent to clients",
            &self.messages_sent,
        );
        counter(
            "watch_payments_detected",
            "Payments sent to watches, in the mempool and in blocks",
            &self.payments_detected,
        );
        counter("error_replies", "Error messages sent to clients", &self.error_replies);
    }
}

impl Counters {
    /// Registers all of them below `sdk_relay_`. Names of counters get `_total` appended in the text form.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "websocket_connections",
            "Current WebSocket connections",
            self.connections.clone(),
        );
        registry.register(
            "mesh_connections",
            "Current links to other relays",
            self.mesh_connections.clone(),
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "messages_received",
            "WebSocket messages received, without those about watches",
            &self.messages_received,
        );
        counter(
            "messages_sent",
            "WebSocket messages sent, without those about watches and errors",
            &self.messages_sent,
        );
        counter(
            "notifications_sent",
            "Events of the log sent to clients",
            &self.notifications_sent,
        );
        counter(
            "connections_refused",
            "Connections refused because a limit was reached",
            &self.connections_refused,
        );
        counter(
            "slow_clients_cut",
            "Accepted connections that were closed with 1013",
            &self.slow_clients_cut,
        );
        counter(
            "unfinished_inputs_cut",
            "WebSocket messages and request bodies dropped because they were not complete in time, or memory was short",
            &self.unfinished_inputs_cut,
        );
        counter("http_requests", "HTTP requests", &self.http_requests);
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
        counter(
            "payments_detected",
            "Payments to the relay's own wallets, in the mempool and in blocks",
            &self.payments_detected,
        );
        counter(
            "payments_reverted",
            "Payments to the relay's own wallets that were reverted",
            &self.payments_reverted,
        );
        counter("blocks_connected", "Blocks connected", &self.blocks_connected);
        counter("blocks_disconnected", "Blocks disconnected", &self.blocks_disconnected);
        counter(
            "transactions_scanned",
            "Transactions scanned, in blocks and in the mempool",
            &self.transactions_scanned,
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
        let counters = Counters::default();
        assert_eq!((counters.sync_latency_ms(), counters.sync_success_rate()), (None, None));
        counters.sync_responses.inc_by(148);
        counters.sync_errors.inc_by(2);
        counters.sync_seconds.inc_by(0.296);
        assert_eq!(
            (counters.sync_latency_ms(), counters.sync_success_rate()),
            (Some(2.0), Some(98.67))
        );
    }

    #[test]
    fn every_counter_is_in_the_text() {
        let mut registry = Registry::default();
        let counters = Counters::default();
        counters.register(&mut registry);
        counters.slow_clients_cut.inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("sdk_relay_slow_clients_cut_total 1\n"), "{text}");
        assert!(text.contains("sdk_relay_sync_seconds_total 0.0\n"), "{text}");
    }
}
