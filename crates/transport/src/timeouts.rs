//! How long the peers of both ports may take.

use std::time::Duration;

/// The time limits of connections, on either port. A relay has those of [`Default`]; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The headers of a request.
    pub headers: Duration,
    /// The handshake of TLS.
    pub tls_handshake: Duration,
    /// The peer accepts not one byte of what is written.
    pub write: Duration,
    /// A message or a body that has begun ([`InputBudget`](crate::InputBudget)).
    pub input: Duration,
}

/// A client that sends a byte now and then cannot hold a connection.
const HEADERS: Duration = Duration::from_secs(10);
/// As long as headers may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Longer than a WebSocket's own limit, which closes with a code.
const WRITE: Duration = Duration::from_secs(30);
/// The largest input is 1 MiB: a client that needs longer has 100 KiB/s or less.
pub(crate) const INPUT: Duration = Duration::from_secs(10);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            headers: HEADERS,
            tls_handshake: TLS_HANDSHAKE,
            write: WRITE,
            input: INPUT,
        }
    }
}
