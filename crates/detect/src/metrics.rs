//! What detection counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sdk_relay_scheduler::ScanMetrics;
use sdk_relay_telemetry::{Bounds, Histogram};

/// From a disk with a write cache to one that is overloaded.
const COMMIT_BOUNDS: Bounds = &[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
];

/// Counters of detection since the start.
#[derive(Debug)]
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
    /// Only an administrator may read them, for the same reason.
    pub spends_unnamed: Counter,
    pub spend_names_given_up: Counter,
    pub events_logged: Counter,
    pub commit_seconds: Histogram,
    pub scans: ScanMetrics,
    /// Only an administrator may read them.
    pub detached: DetachedMetrics,
}

/// Figures of detached watches.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each figure explains it, where it is registered"
)]
pub struct DetachedMetrics {
    pub watches: Gauge,
    pub attached: Gauge,
    pub bytes: Gauge,
    pub lost: Counter,
    pub expired: Counter,
    pub refused: Counter,
}

impl Default for DetectionMetrics {
    fn default() -> Self {
        Self {
            payments_detected: Counter::default(),
            payments_reverted: Counter::default(),
            blocks_connected: Counter::default(),
            blocks_disconnected: Counter::default(),
            transactions_scanned: Counter::default(),
            watch_payments_detected: Counter::default(),
            spends_unnamed: Counter::default(),
            spend_names_given_up: Counter::default(),
            events_logged: Counter::default(),
            commit_seconds: Histogram::new(COMMIT_BOUNDS),
            scans: ScanMetrics::default(),
            detached: DetachedMetrics::default(),
        }
    }
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
        counter("events_logged", "Events written to the log", &self.events_logged);
        registry.register_with_unit(
            "commit",
            "Time of writing events and the tip to the log, until they are on the disk; with the retries of a write that failed",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        self.scans.register(private);
        self.detached.register(private);
        let private = private.sub_registry_with_prefix("sdk_relay");
        private.register(
            "watch_payments_detected",
            "Payments sent to watches, in the mempool and in blocks",
            self.watch_payments_detected.clone(),
        );
        private.register(
            "spends_unnamed",
            "Spends reported to watches without their transactions, because the node did not give the block in time",
            self.spends_unnamed.clone(),
        );
        private.register(
            "spend_names_given_up",
            "Spends reported to watches whose transactions are not looked up again, because too many are",
            self.spend_names_given_up.clone(),
        );
    }
}

impl DetachedMetrics {
    fn register(&self, private: &mut Registry) {
        let private = private.sub_registry_with_prefix("sdk_relay_detached");
        private.register("watches", "Detached watches", self.watches.clone());
        private.register(
            "watches_attached",
            "Detached watches to which a connection is attached",
            self.attached.clone(),
        );
        private.register_with_unit(
            "matches",
            "Memory of the matches that detached watches keep until their clients release them",
            Unit::Bytes,
            self.bytes.clone(),
        );
        private.register(
            "matches_lost",
            "Matches of detached watches that were found while their buffer was full",
            self.lost.clone(),
        );
        private.register(
            "watches_expired",
            "Detached watches to which no client came back in time",
            self.expired.clone(),
        );
        private.register(
            "requests_refused",
            "Requests with a watch_id and watch_token that no detached watch has",
            self.refused.clone(),
        );
    }
}
