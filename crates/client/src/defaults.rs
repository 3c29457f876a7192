//! Sizes and timeouts, with their reasons.

use std::time::Duration;

/// For connecting and upgrading the connection: several retransmissions of a lost SYN.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For the response to the handshake: as long as a relay waits for the handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the response to a request. Includes the time that a request waits for a reconnect.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// For writing: a relay that reads nothing for this long is stuck.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time without a frame from the relay. It pings every 30 s, so three pings are missing.
pub const SILENCE: Duration = Duration::from_secs(90);

/// For the close frame of the relay. Nothing depends on it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Capacity of the event queue. At about 1 KB each it stays below 1 MB. While it is full, the socket is not read.
pub const EVENT_QUEUE: usize = 512;

/// Capacity of the request queue. While it is full, callers wait.
pub const REQUEST_QUEUE: usize = 64;

/// Maximum number of requests in flight. The next one waits for a response.
pub const IN_FLIGHT: usize = 128;

/// Maximum size of a message from the relay, in bytes: the tweaks of a block that is full of taproot outputs take
/// about 12 MB.
pub const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// Wait before the first attempt to reconnect: a restart of a relay takes less.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// Attempts to reach the relay of the last connection before others are tried: enough for a restart.
pub const OWN_FIRST: u64 = 2;

/// Maximum wait between attempts: an app reconnects within half a minute, and does not flood the relay.
pub const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// A connection that lasted this long was stable: after it, the wait starts again from [`BACKOFF_FIRST`].
pub const SOUND_AFTER: Duration = Duration::from_secs(30);

/// Blocks below the last one that a reorganisation may have replaced unseen, where a relay cannot say: as many as
/// coinbase outputs need to mature.
pub const REORGANISATION: u32 = 100;
