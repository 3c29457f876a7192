//! Time of day, and monotonic time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::simulation;

/// The time of day.
pub fn now() -> SystemTime {
    simulation::time_of_day().unwrap_or_else(SystemTime::now)
}

/// Now, in Unix seconds; 0 on a machine whose clock stands before 1970.
pub fn unix_now() -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Monotonic time for code that does not use tokio's `Instant`. It stands still while tokio's clock is paused.
pub fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}
