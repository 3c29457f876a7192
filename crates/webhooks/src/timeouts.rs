//! How long endpoints may take, and how long the relay waits for them.

use std::time::Duration;

/// The time limits of webhooks. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// An attempt, until the status of the answer.
    pub attempt: Duration,
    /// The same through a proxy.
    pub proxied_attempt: Duration,
    /// The pause after the first failure.
    pub first_pause: Duration,
    /// Upper limit of the longest pause, `retry_interval`.
    pub longest_pause: Duration,
}

/// Standard Webhooks recommends 15 to 30 s.
const ATTEMPT: Duration = Duration::from_secs(20);
/// A connection through a proxy takes up to 25 s (`Proxy::connect`).
const PROXIED_ATTEMPT: Duration = Duration::from_secs(45);
/// A restart of the endpoint takes about this long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// That of the setting.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            attempt: ATTEMPT,
            proxied_attempt: PROXIED_ATTEMPT,
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
        }
    }
}
