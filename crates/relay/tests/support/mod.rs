//! What the tests of payments and of reorganisations share: ears at the relay, and names for what they hear.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod ear;
pub(crate) mod step;

use std::time::Duration;

/// Nothing that is awaited here takes this long, on a busy machine either.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
