//! What can go wrong, per operation.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sdk_relay_protocol::{CloseCode, ErrorCode};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one of a relay.
    #[error("{url:?} is no relay URL: {reason}; expected ws://HOST:PORT or wss://HOST:PORT")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error("no relay can be reached at {address}: {source}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// The system's words.
        source: io::Error,
    },
    /// Somebody answers, but not as a WebSocket server.
    #[error("{address} does not speak WebSocket: {reason}")]
    NotWebSocket {
        /// `HOST:PORT`.
        address: String,
        /// What came instead.
        reason: String,
    },
    /// Somebody answers, but not in TLS, or with a certificate that is not trusted.
    #[error("no TLS with {address}: {reason}")]
    Tls {
        /// `HOST:PORT`.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificates to trust cannot be had.
    #[error("the trusted certificates {} cannot be read: {reason}", .file.as_ref().map_or("of the system".to_owned(), |f| format!("in {}", f.display())))]
    Trust {
        /// The PEM file; `None`: the system's.
        file: Option<PathBuf>,
        /// What is wrong.
        reason: String,
    },
    /// Too slow.
    #[error("{address} did not answer the {step} within {after:?}")]
    Timeout {
        /// `HOST:PORT`.
        address: String,
        /// `connection` or `handshake`.
        step: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The relay refused the handshake. Another attempt with the same words would be refused too.
    #[error("the relay refused the handshake: {reason}")]
    Rejected {
        /// The relay's words.
        reason: String,
    },
    /// The relay ended the connection before it answered the handshake.
    #[error("the relay ended the connection during the handshake: {0}")]
    Ended(Disconnect),
    /// The relay's first message is no `handshake_response`.
    #[error("the relay did not answer the handshake but said {0}")]
    NoHandshake(String),
    /// Another relay of a client, and it follows another chain.
    #[error("{address} is a relay of {found}, not of {wanted}")]
    OtherNetwork {
        /// `HOST:PORT`.
        address: String,
        /// Its network.
        found: String,
        /// That of the relay before.
        wanted: String,
    },
    /// Between relays: the other has not proven who it is.
    #[error("the other relay has not proven who it is: {0}")]
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
    /// The relay closed it.
    #[error("closed by the relay with {code} {reason:?}")]
    Closed {
        /// RFC 6455, section 7.4; see [`CloseCode`]. 1005 stands for a close without a code.
        code: u16,
        /// The relay's words; often empty.
        reason: String,
    },
    /// The connection broke.
    #[error("lost: {0}")]
    Lost(String),
    /// Nothing came for too long.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// The relay takes nothing.
    #[error("nothing could be written for {0:?}")]
    Stuck(Duration),
    /// There is no way back: the relay refuses the handshake.
    #[error("cannot reconnect: {0}")]
    Refused(String),
}

impl Disconnect {
    /// The close code, where the relay gave one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Closed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether another attempt makes sense: not after a refusal, and not where the client lacks the right (1008).
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused(_)) && self.code() != Some(CloseCode::Policy.code())
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The relay refused it.
    #[error("the relay refused the {request} ({code:?}): {message}")]
    Refused {
        /// `ping`, `subscribe`, …
        request: &'static str,
        /// Kind of mistake.
        code: ErrorCode,
        /// The relay's words.
        message: String,
    },
    /// No answer in time. The answer may wait behind events: are they being read?
    #[error("no answer to the {request} within {after:?}")]
    Timeout {
        /// `ping`, `subscribe`, …
        request: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The connection ended before the answer came. The relay may or may not have acted on the request.
    #[error("the connection ended before the {request} was answered")]
    Disconnected {
        /// `ping`, `subscribe`, …
        request: &'static str,
    },
    /// The client has ended: see [`crate::ClientEvent::Closed`].
    #[error("the client is closed")]
    Closed,
}
