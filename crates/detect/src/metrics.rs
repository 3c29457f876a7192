//! What detection counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of detection since the start.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct DetectionMetrics {
    pub payments_detected: Counter,
    pub payments_reverted: Counter,
    pub blocks_connected: Counter,
    pub blocks_disconnected: Counter,
    pub transactions_scanned: Counter,
    /// Only an administrator may read it: beside the mempool it shows which transaction paid a client.
    pub watch_payments_detected: Counter,
}

impl DetectionMetrics {
    /// Registers all of them below `sdk_relay_`; in `private` those that only an administrator may read.
    pub fn register(&self, registry: &mut Registry, private: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
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
        private.sub_registry_with_prefix("sdk_relay").register(
            "watch_payments_detected",
            "Payments sent to watches, in the mempool and in blocks",
            self.watch_payments_detected.clone(),
        );
    }
}
