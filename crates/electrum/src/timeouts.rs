//! How long clients, the node and the backend may take, and when notifications are sent.

use std::time::Duration;

/// The time limits of an Electrum connection. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A client that has sent no request for this long is disconnected.
    pub idle: Duration,
    /// From the answer to a subscription to its first notification.
    pub first_notification: Duration,
    /// Between two notifications while the history is scanned.
    pub progress: Duration,
    /// Before a script is notified as empty, in case that its transaction is found again.
    pub settle: Duration,
    /// The same, of a script whose transaction was in a block, if the end of the reorganisation is not known before.
    pub reorganisation: Duration,
    /// An answer of the node, including the wait for a turn.
    pub node: Duration,
    /// A line to the client, besides the time that its size allows ([`SLOWEST_READER`](crate::limits::SLOWEST_READER)).
    pub write: Duration,
    /// Connecting to the backend, and an answer of it.
    pub backend: Duration,
    /// Between two pings to a backend that is sent nothing else.
    pub backend_ping: Duration,
    /// Between two attempts to connect to the backend: the first, which doubles, and the longest.
    pub backend_retry: (Duration, Duration),
    /// Writing the reason of a disconnect.
    pub close: Duration,
}

/// docs/API.md, "Electrum". Wallets send a ping every 30 s or every minute.
const IDLE: Duration = Duration::from_secs(600);
/// Sparrow registers a subscription on another thread after the answer has arrived, and drops notifications that arrive
/// before: within about a millisecond on a fast machine.
const FIRST_NOTIFICATION: Duration = Duration::from_millis(250);
/// Frequent enough for a progress bar, and rare enough to cost nothing.
const PROGRESS: Duration = Duration::from_secs(5);
/// A transaction that has left the mempool rarely returns.
const SETTLE: Duration = Duration::from_secs(3);
/// In a reorganisation the mempool is read again, and the blocks of the new chain follow; then the status of most
/// scripts is one that the client has seen before. Sparrow empties the history of a script that is notified as empty,
/// and then ignores each status that it has seen on the connection: the payment would be lost until it connects again.
/// A node with a full mempool takes some seconds.
const REORGANISATION: Duration = Duration::from_secs(30);
/// Shorter than the 30 s or more that wallets wait for an answer.
const NODE: Duration = Duration::from_secs(20);
/// As long as a client of the WebSocket API may take.
const WRITE: Duration = Duration::from_secs(20);
/// As an answer of the node.
const BACKEND: Duration = Duration::from_secs(20);
/// Servers close a connection that is idle for ten minutes; proxies and routers drop silent ones after a minute or
/// more.
const BACKEND_PING: Duration = Duration::from_secs(60);
/// A restart of the server takes seconds, an outage longer.
const BACKEND_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The shutdown waits for it.
const CLOSE: Duration = Duration::from_secs(2);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: IDLE,
            first_notification: FIRST_NOTIFICATION,
            progress: PROGRESS,
            settle: SETTLE,
            reorganisation: REORGANISATION,
            node: NODE,
            write: WRITE,
            backend: BACKEND,
            backend_ping: BACKEND_PING,
            backend_retry: BACKEND_RETRY,
            close: CLOSE,
        }
    }
}
