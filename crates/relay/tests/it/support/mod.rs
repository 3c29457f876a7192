//! Shared by several tests: a client that records notifications, and a short form of them.

pub(crate) mod recorder;
pub(crate) mod step;

use std::time::Duration;

/// Nothing that is awaited here takes this long, on a busy machine either.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
