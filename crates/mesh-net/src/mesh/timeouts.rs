//! How long other relays may take.

use std::time::Duration;

/// The time limits of links. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The response to a request, each time that it is sent.
    pub response: Duration,
    /// Intervals of `sync.interval` after which the name of a link is bound to its key.
    pub bind_after: u32,
}

/// Responses take milliseconds; this covers several retransmissions.
const RESPONSE: Duration = Duration::from_secs(5);
/// Ten minutes by default: a peer that uses another name each time binds none.
const BIND_AFTER: u32 = 20;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: RESPONSE,
            bind_after: BIND_AFTER,
        }
    }
}
