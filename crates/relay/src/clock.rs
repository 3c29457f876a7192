//! Time on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds; 0 on a machine whose clock stands before 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
