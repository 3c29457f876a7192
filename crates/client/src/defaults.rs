//! Sizes and times, each with its reason.

use std::time::Duration;

/// To reach the relay and upgrade the connection: several retransmissions of a lost SYN.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For the answer to the handshake: as long as a relay waits for the handshake itself.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the answer to a request. A request made while the connection is away waits for it within this time.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// For the relay to take what is written: one that reads nothing for this long is stuck.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Without any frame from the relay. It pings every 30 s: three of them are missing.
pub const SILENCE: Duration = Duration::from_secs(90);

/// For the relay's half of a close. Nothing depends on it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Events that wait for the app. At about 1 KB each the queue stays below 1 MB; when it is full the socket is not read.
pub const EVENT_QUEUE: usize = 512;

/// Requests that wait for the connection's task. When it is full the callers wait.
pub const REQUEST_QUEUE: usize = 64;

/// Requests on their way. When there are as many, the next waits for an answer.
pub const IN_FLIGHT: usize = 128;

/// Largest message from the relay in bytes: the tweaks of a block that is full of taproot outputs take about 12 MB.
pub const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// Before the first attempt to reconnect: a relay that restarts is back in less.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);

/// Attempts that the relay of the last connection has for itself before others are tried: one that restarts is back within them.
pub const OWN_FIRST: u64 = 2;

/// Between attempts at most: an app is back half a minute after its relay, and a relay is not flooded.
pub const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// A connection that lived this long was sound: the next loss starts again from [`BACKOFF_FIRST`].
pub const SOUND_AFTER: Duration = Duration::from_secs(30);
