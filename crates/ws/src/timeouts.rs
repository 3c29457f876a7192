//! How long a WebSocket client may take.

use std::time::Duration;

/// The time limits of a WebSocket connection. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The handshake message.
    pub handshake: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// A peer that has sent nothing for this long is gone.
    pub silence: Duration,
    /// The peer accepts nothing of what is written.
    pub write: Duration,
    /// Writing a close frame; and again, the peer's answer to it.
    pub close: Duration,
}

/// docs/API.md, "Connect".
const HANDSHAKE: Duration = Duration::from_secs(10);
/// docs/API.md, "Keep the connection alive".
const PING: Duration = Duration::from_secs(30);
/// docs/API.md, "Keep the connection alive".
const SILENCE: Duration = Duration::from_secs(90);
/// Shorter than the silence, longer than a mobile network's hiccup.
const WRITE: Duration = Duration::from_secs(20);
/// A connection keeps its slot meanwhile: there are no more of those that end than there may be of those that live.
/// Both parts together are less than a shutdown takes (5 s).
const CLOSE: Duration = Duration::from_secs(2);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: HANDSHAKE,
            ping: PING,
            silence: SILENCE,
            write: WRITE,
            close: CLOSE,
        }
    }
}
