//! Why an attempt has no answer.

use std::fmt;
use std::time::Duration;

use crate::budgets::Busy;

/// Why an attempt has no answer. The text is for the client that has named the URL: it does not say where a name leads,
/// because that may be a secret of the relay's network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A limit is reached, and nothing was sent.
    #[error("{0}")]
    Busy(Busy),
    /// The host has no address, or one that is not called.
    #[error("the host of the URL has no address that this relay calls")]
    Refused,
    /// No connection.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// TLS fails: a certificate of another name, or of an unknown authority.
    #[error("no TLS with the server: {0}")]
    Tls(String),
    /// A step takes too long.
    #[error("{step} within {} s", .limit.as_secs())]
    Late {
        /// Which.
        step: Step,
        /// Its time limit.
        limit: Duration,
    },
    /// The server does not answer in HTTP.
    #[error("no answer in HTTP: {0}")]
    Http(String),
}

/// A step of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name.
    Resolve,
    /// Connecting.
    Connect,
    /// The handshake of TLS.
    Tls,
    /// The head of the answer.
    Head,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name was not resolved",
            Self::Connect => "the server did not accept the connection",
            Self::Tls => "no TLS with the server",
            Self::Head => "the server did not answer",
        })
    }
}
