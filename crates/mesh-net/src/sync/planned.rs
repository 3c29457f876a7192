//! When this relay's next own sync is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sdk_relay_telemetry::clock::unix_now;

/// A Unix second; 0 if none is planned.
#[derive(Debug, Default)]
pub struct Planned(AtomicU64);

impl Planned {
    /// The Unix second, if one is planned.
    pub fn at(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// The next one is due after this time.
    pub(super) fn plan(&self, after: Duration) {
        self.0
            .store(unix_now() + after.as_secs_f64().round() as u64, Ordering::Relaxed);
    }
}
