//! How long the peers of the ports may take.

use std::time::Duration;

/// The time limits of connections, on each port. A relay has those of [`Default`]; tests have shorter ones.
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
    /// A connection of HTTP/2 has no request.
    pub http2_idle: Duration,
    /// A frame of an answer over HTTP/2 is not accepted, while the connection is alive.
    pub http2_unsent: Duration,
}

/// A client that sends a byte now and then cannot hold a connection.
const HEADERS: Duration = Duration::from_secs(10);
/// As long as headers may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Longer than a WebSocket's own limit, which closes with a code.
const WRITE: Duration = Duration::from_secs(30);
/// The largest input is 1 MiB: a client that needs longer has 100 KiB/s or less.
pub(crate) const INPUT: Duration = Duration::from_secs(10);
/// Wallets ask for the newest block every 10 s, or keep the connection for their next scan; gRPC libraries connect
/// again without an error.
const HTTP2_IDLE: Duration = Duration::from_secs(600);
/// A wallet that fetches a block from other nodes for each match stops reading meanwhile; a frame has some 32 KiB.
const HTTP2_UNSENT: Duration = Duration::from_secs(300);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            headers: HEADERS,
            tls_handshake: TLS_HANDSHAKE,
            write: WRITE,
            input: INPUT,
            http2_idle: HTTP2_IDLE,
            http2_unsent: HTTP2_UNSENT,
        }
    }
}
