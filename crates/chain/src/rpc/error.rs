//! What can go wrong between us and the node.

use hyper::StatusCode;
use serde::Deserialize;

use crate::source::SourceError;

/// Error codes of the RPC interface that mean something to us (`src/rpc/protocol.h` of Bitcoin Core).
pub mod code {
    /// `RPC_MISC_ERROR`: among others, block data that was pruned.
    pub const MISC: i64 = -1;
    /// `RPC_WALLET_ERROR`.
    pub const WALLET: i64 = -4;
    /// `RPC_INVALID_ADDRESS_OR_KEY`: no such block or transaction.
    pub const NOT_FOUND: i64 = -5;
    /// `RPC_INVALID_PARAMETER`: among others, a height above the tip.
    pub const INVALID_PARAMETER: i64 = -8;
    /// `RPC_WALLET_NOT_FOUND`.
    pub const WALLET_NOT_FOUND: i64 = -18;
    /// `RPC_DESERIALIZATION_ERROR`.
    pub const DESERIALIZATION: i64 = -22;
    /// `RPC_VERIFY_ERROR`.
    pub const VERIFY: i64 = -25;
    /// `RPC_VERIFY_REJECTED`.
    pub const VERIFY_REJECTED: i64 = -26;
    /// `RPC_VERIFY_ALREADY_IN_UTXO_SET`.
    pub const VERIFY_ALREADY_IN_UTXO_SET: i64 = -27;
    /// `RPC_IN_WARMUP`.
    pub const IN_WARMUP: i64 = -28;
    /// `RPC_WALLET_ALREADY_LOADED`.
    pub const WALLET_ALREADY_LOADED: i64 = -35;
    /// `RPC_WALLET_ALREADY_EXISTS`.
    pub const WALLET_ALREADY_EXISTS: i64 = -36;
    /// `RPC_METHOD_NOT_FOUND`: the node was built without this part.
    pub const METHOD_NOT_FOUND: i64 = -32601;
}

/// The node's own answer to one call that it did not fulfil.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct ServerError {
    /// One of [`code`], or another.
    pub code: i64,
    /// The node's words.
    pub message: String,
}

/// Why a call has no result. None of it holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    /// The configured address cannot be one of a node.
    #[error("the address of the node is not http://HOST:PORT: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers, or the answer broke off, or took too long.
    #[error("{at} does not answer: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        at: String,
        /// The transport's words.
        reason: String,
    },
    /// The node has more requests than it wants to queue (HTTP 503).
    #[error("{at} is overloaded: {reason}")]
    Busy {
        /// `HOST:PORT`.
        at: String,
        /// The node's words, such as "Work queue depth exceeded".
        reason: String,
    },
    /// The node refuses our credentials (HTTP 401), or us (HTTP 403).
    #[error("{at} refuses the request: {reason}")]
    Unauthorized {
        /// `HOST:PORT`.
        at: String,
        /// What was tried.
        reason: String,
    },
    /// The node is starting ([`code::IN_WARMUP`]).
    #[error("{at} is starting: {reason}")]
    Warming {
        /// `HOST:PORT`.
        at: String,
        /// The node's words.
        reason: String,
    },
    /// The node's own answer.
    #[error("{method}: {error}")]
    Server {
        /// What was called.
        method: String,
        /// The answer.
        #[source]
        error: ServerError,
    },
    /// A REST request that was refused.
    #[error("{path}: HTTP {status}: {reason}")]
    Rest {
        /// What was asked.
        path: String,
        /// HTTP status.
        status: u16,
        /// Start of the node's message.
        reason: String,
    },
    /// An answer that is not what the interface promises.
    #[error("cannot parse the reply to {what}: {reason}")]
    Malformed {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RpcError {
    /// The node's own error, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server { error, .. } => Some(error),
            _ => None,
        }
    }

    /// [`RpcError::Server`], or [`RpcError::Warming`] when that is what the node says.
    pub(crate) fn from_server(at: &str, method: &str, error: ServerError) -> Self {
        if error.code == code::IN_WARMUP {
            Self::Warming {
                at: at.to_owned(),
                reason: error.message,
            }
        } else {
            Self::Server {
                method: method.to_owned(),
                error,
            }
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<RpcError> for SourceError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Address { reason } => Self::Unreachable {
                at: "the configured node".to_owned(),
                reason,
            },
            RpcError::Unreachable { at, reason } | RpcError::Busy { at, reason } => Self::Unreachable { at, reason },
            RpcError::Unauthorized { at, reason } => Self::Unauthorized { at, reason },
            RpcError::Warming { at, reason } => Self::Warming { at, reason },
            RpcError::Server { method, error } => Self::Rpc {
                method,
                message: error.message,
                code: error.code,
            },
            RpcError::Rest { path, status, reason } => Self::Malformed {
                what: path,
                reason: format!("HTTP {status}: {reason}"),
            },
            RpcError::Malformed { what, reason } => Self::Malformed { what, reason },
        }
    }
}

/// What a refused REST request means. A node that is starting answers 503 to all of them (`CheckWarmup` in
/// `src/rest.cpp`).
pub(super) fn rest(at: &str, path: &str, status: StatusCode, body: &[u8]) -> RpcError {
    let reason = words(body);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return RpcError::Warming {
            at: at.to_owned(),
            reason,
        };
    }
    RpcError::Rest {
        path: path.to_owned(),
        status: status.as_u16(),
        reason,
    }
}

/// The start of a body that is meant for people.
pub(crate) fn words(body: &[u8]) -> String {
    /// Enough for the node's longest message, and short enough for a log line.
    const MAX_WORDS: usize = 200;
    String::from_utf8_lossy(&body[..body.len().min(MAX_WORDS)])
        .trim()
        .to_owned()
}
