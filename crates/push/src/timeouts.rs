//! When a message is sent, and sent again.

use std::time::Duration;

/// The pauses of pushes. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between two messages for one watch. The matches of a block, or of a history, are one message then.
    pub between: Duration,
    /// After the first failure.
    pub first_pause: Duration,
    /// After later ones, each twice the one before.
    pub longest_pause: Duration,
}

/// A person notices no difference, and push services limit messages of one sender.
const BETWEEN: Duration = Duration::from_secs(5);
/// A push service that restarts is back then.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// With ten attempts a message is tried for three hours.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            between: BETWEEN,
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
        }
    }
}
