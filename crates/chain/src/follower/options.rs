//! How often to look, and how far to run ahead.

use std::time::Duration;

/// Between two questions for the tip. A block that no signal tells is late by this much at most, and a node that goes
/// away is noticed as quickly; the question costs the node a fraction of a millisecond.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Between two comparisons of the whole mempool where signals tell its changes. A comparison moves 20 MB on a full
/// mempool, and finds only what was lost without a trace.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(30);

/// Events that wait for the consumer. A block with its prevouts takes up to 10 MB, so that a stalled consumer costs 80
/// MB at most.
const EVENTS_AHEAD: usize = 8;

/// Settings of a [`Follower`](super::Follower).
#[derive(Clone, Debug)]
pub struct FollowerOptions {
    /// Time between two looks at the tip, and at the mempool of a source without signals. [`POLL_INTERVAL`] by default.
    pub poll_interval: Duration,
    /// Time between two looks at the whole mempool of a source with signals. [`RECONCILE_INTERVAL`] by default.
    pub reconcile_interval: Duration,
    /// Events that wait for the consumer before the follower waits for it.
    pub events_ahead: usize,
}

impl Default for FollowerOptions {
    fn default() -> Self {
        Self {
            poll_interval: POLL_INTERVAL,
            reconcile_interval: RECONCILE_INTERVAL,
            events_ahead: EVENTS_AHEAD,
        }
    }
}
