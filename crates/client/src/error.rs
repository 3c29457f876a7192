//! Errors, one type for each operation.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sdk_relay_echo::{self as echo, quoted, short};
use sdk_relay_protocol::{CloseCode, ErrorCode};

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not that of a relay.
    #[error("{} is not a relay URL: {reason}; expected ws://HOST:PORT or wss://HOST:PORT", quoted(.url))]
    Url {
        /// The given URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// Cannot connect to the address.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The server does not speak WebSocket.
    #[error("{address} does not speak WebSocket: {reason}")]
    NotWebSocket {
        /// `HOST:PORT`.
        address: String,
        /// What it sent instead.
        reason: String,
    },
    /// A `wss://` URL of a server without TLS.
    #[error("{address} does not speak TLS: use ws:// in place of wss://")]
    SpeaksNoTls {
        /// `HOST:PORT`.
        address: String,
    },
    /// A `ws://` URL of a server with TLS.
    #[error("{address} speaks TLS: use wss:// in place of ws://")]
    SpeaksTls {
        /// `HOST:PORT`.
        address: String,
    },
    /// The certificate of the server is not trusted, or the handshake failed for another reason.
    #[error("TLS handshake with {address} failed: {reason}")]
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// The reason.
        reason: String,
        /// Whether the same certificate is accepted if the client trusts it ([`Trust::File`](crate::Trust::File)).
        can_be_trusted: bool,
    },
    /// The trusted certificates cannot be read.
    #[error("{reason}")]
    Trust {
        /// The PEM file; `None`: those of the system.
        file: Option<PathBuf>,
        /// The reason, with the file.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("{address} did not answer the {step} within {after:?}")]
    Timeout {
        /// `HOST:PORT`.
        address: String,
        /// `connection` or `handshake`.
        step: &'static str,
        /// The timeout.
        after: Duration,
    },
    /// The relay rejected the handshake. Another attempt with the same values would be rejected too.
    #[error("the relay rejected the handshake: {}", echo::reason(.reason))]
    Rejected {
        /// Reason that the relay gave.
        reason: String,
    },
    /// The relay ended the connection before it answered the handshake.
    #[error("the relay ended the connection during the handshake: {0}")]
    Ended(Disconnect),
    /// The first message of the relay is not a `handshake_response`.
    #[error("expected a handshake_response, got {}", short(.0))]
    NoHandshake(String),
    /// A further relay of the client follows another chain.
    #[error("{address} is a relay of {}, not of {}", short(.found), short(.expected))]
    OtherNetwork {
        /// `HOST:PORT`.
        address: String,
        /// Network of this relay.
        found: String,
        /// Network of the first relay.
        expected: String,
    },
    /// Between relays: the other relay has not proven its identity.
    #[error("the other relay has not proven its identity: {}", echo::reason(.0))]
    Unproven(String),
}

impl ConnectError {
    /// Whether the same attempt can succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Rejected { .. } | Self::OtherNetwork { .. } | Self::Unproven(_) => false,
            Self::Ended(reason) => reason.is_temporary(),
            _ => true,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The relay closed the connection.
    #[error("the relay closed the connection with {code} {}", quoted(.reason))]
    Closed {
        /// RFC 6455, section 7.4; see [`CloseCode`]. 1005 stands for a close without a code.
        code: u16,
        /// Reason that the relay gave; often empty.
        reason: String,
    },
    /// The connection was lost.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing was received for too long.
    #[error("nothing received for {0:?}")]
    Silent(Duration),
    /// The relay accepts no data.
    #[error("could not write for {0:?}")]
    Stuck(Duration),
    /// The relay rejects the handshake on reconnecting.
    #[error("cannot reconnect: {0}")]
    Refused(String),
}

impl Disconnect {
    /// The close code, if the relay sent one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Closed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether another attempt can succeed: not after a rejected handshake, and not if the client is not authorized
    /// (1008).
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused(_)) && self.code() != Some(CloseCode::Policy.code())
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The relay rejected the request.
    #[error("the relay rejected {request}: {}", echo::reason(.message))]
    Refused {
        /// `ping`, `subscribe`, …
        request: &'static str,
        /// Error code.
        code: ErrorCode,
        /// Reason that the relay gave.
        message: String,
    },
    /// No answer in time. The answer may be queued behind events that the app has not read.
    #[error("no answer to {request} within {after:?}")]
    Timeout {
        /// `ping`, `subscribe`, …
        request: &'static str,
        /// The timeout.
        after: Duration,
    },
    /// The connection ended before the answer. The relay may or may not have acted on the request.
    #[error("the connection ended before {request} was answered")]
    Disconnected {
        /// `ping`, `subscribe`, …
        request: &'static str,
    },
    /// The client has ended; see [`crate::ClientEvent::Closed`].
    #[error("the client is closed")]
    Closed,
}
