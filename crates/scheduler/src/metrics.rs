//! How long scans for watches take.

use prometheus_client::registry::{Registry, Unit};
use sdk_relay_telemetry::{Bounds, HistogramFamily};

use super::{Batch, Class};

/// From one transaction for one watch to a block for the watches of many clients.
const BOUNDS: Bounds = &[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];
const MEMPOOL: &str = "mempool";
const BLOCK: &str = "block";

/// Times of scans for watches. Only an administrator may read them: they exist only while a client has a watch.
#[derive(Clone, Debug)]
pub struct ScanMetrics {
    seconds: HistogramFamily,
}

impl Default for ScanMetrics {
    fn default() -> Self {
        Self {
            seconds: HistogramFamily::new("of", &[MEMPOOL, BLOCK], BOUNDS),
        }
    }
}

impl ScanMetrics {
    /// Registers all of them below `sdk_relay_`. `private`: what only an administrator may read.
    pub fn register(&self, private: &mut Registry) {
        private.sub_registry_with_prefix("sdk_relay").register_with_unit(
            "scan",
            "Time from transactions of the mempool, or a block, until they are scanned for all watches of a connection",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// The batch is completely scanned for one of its owners.
    pub(crate) fn scanned(&self, batch: &Batch) {
        let of = match batch.class {
            Class::Mempool => MEMPOOL,
            Class::Block => BLOCK,
            // A new watch: no event waits for it.
            Class::Backfill => return,
        };
        if let Some(histogram) = self.seconds.get(of) {
            histogram.observe(batch.begun.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn mempool_and_blocks_are_told_apart() {
        let (metrics, mut private) = (ScanMetrics::default(), Registry::default());
        metrics.register(&mut private);
        for class in [Class::Mempool, Class::Block, Class::Block, Class::Backfill] {
            metrics.scanned(&Batch::new(class, Arc::new([]), 1));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &private).unwrap();
        for line in [
            "sdk_relay_scan_seconds_count{of=\"mempool\"} 1\n",
            "sdk_relay_scan_seconds_count{of=\"block\"} 2\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
