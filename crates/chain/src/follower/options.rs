//! Poll intervals and queue sizes of the follower.

use std::time::Duration;

/// Interval between requests for the tip. It bounds the delay of a block without a signal, and the time until a stopped
/// node is noticed. A request costs the node a fraction of a millisecond.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Interval between comparisons of the whole mempool if its changes are signalled. A comparison transfers 20 MB with a
/// full mempool, and finds only changes whose signal was lost unnoticed.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(30);

/// Events queued for the consumer. A block with its prevouts takes up to 10 MB, so that a stalled consumer costs 80 MB
/// at most.
const EVENTS_AHEAD: usize = 8;

/// Settings of a [`Follower`](super::Follower).
#[derive(Clone, Debug)]
pub struct FollowerOptions {
    /// Interval between polls of the tip, and of the mempool if the source has no signals. [`POLL_INTERVAL`] by
    /// default.
    pub poll_interval: Duration,
    /// Interval between comparisons of the whole mempool if the source has signals. [`RECONCILE_INTERVAL`] by default.
    pub reconcile_interval: Duration,
    /// Events queued before the follower waits for the consumer.
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
