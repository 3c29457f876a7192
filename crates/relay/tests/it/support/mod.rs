//! Shared by several tests: a client that records notifications, a short form of them, and clients in other languages.

pub(crate) mod program;
pub(crate) mod recorder;
pub(crate) mod step;

use std::time::Duration;

/// Longer than any awaited step takes, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
