//! Errors of the RPC client.

use hyper::StatusCode;
use sdk_relay_echo::{parser_reason, reason, reason_of_bytes};
use serde::Deserialize;

use crate::source::SourceError;

/// Error codes of the RPC interface that the relay handles (`src/rpc/protocol.h` of Bitcoin Core).
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

/// The error that the node returned for one call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct ServerError {
    /// One of [`code`], or another.
    pub code: i64,
    /// Message of the node.
    pub message: String,
}

impl ServerError {
    /// Whether an error of `sendrawtransaction` or `submitpackage` concerns the transactions, not the node.
    pub(crate) fn refuses_transaction(&self) -> bool {
        matches!(
            self.code,
            code::VERIFY | code::VERIFY_REJECTED | code::VERIFY_ALREADY_IN_UTXO_SET | code::DESERIALIZATION
        )
    }
}

/// Why a call failed. No variant holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    /// The configured address is not `http://HOST:PORT`.
    #[error("the address of the node is not http://HOST:PORT: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The connection failed, the reply was cut off, or the request timed out.
    #[error("{at} does not answer: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        at: String,
        /// Message of the transport.
        reason: String,
    },
    /// The SOCKS proxy on the way to the node is down, or rejects the relay.
    #[error("{reason}: the node {at} cannot be reached")]
    Proxy {
        /// `HOST:PORT` of the node.
        at: String,
        /// The error of the proxy, with its address.
        reason: String,
    },
    /// The work queue of the node is full (HTTP 503).
    #[error("{at} is overloaded: {reason}")]
    Busy {
        /// `HOST:PORT`.
        at: String,
        /// Message of the node, such as "Work queue depth exceeded".
        reason: String,
    },
    /// The node refuses the credentials (HTTP 401), or the address of the relay (HTTP 403).
    #[error("{at} refuses the request: {reason}")]
    Unauthorized {
        /// `HOST:PORT`.
        at: String,
        /// The credentials that were sent.
        reason: String,
    },
    /// The node needs its cookie (HTTP 401), and no cookie file can be read.
    #[error("no credentials for {at}: {reason}")]
    NoCookie {
        /// `HOST:PORT`.
        at: String,
        /// The files, why they cannot be read, and what to do.
        reason: String,
    },
    /// The node is starting ([`code::IN_WARMUP`]).
    #[error("{at} is starting: {reason}")]
    Warming {
        /// `HOST:PORT`.
        at: String,
        /// Message of the node.
        reason: String,
    },
    /// The node returned an error.
    #[error("{method}: {error}")]
    Server {
        /// RPC method.
        method: String,
        /// The error.
        #[source]
        error: ServerError,
    },
    /// The node refused a REST request.
    #[error("{path}: HTTP {status}: {reason}")]
    Rest {
        /// The request.
        path: String,
        /// HTTP status.
        status: u16,
        /// Start of the node's message.
        reason: String,
    },
    /// The reply does not have the documented form.
    #[error("cannot parse the reply to {what}: {reason}")]
    Malformed {
        /// The request.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RpcError {
    /// The error of the node, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server { error, .. } => Some(error),
            _ => None,
        }
    }

    /// [`RpcError::Warming`] if the code says so, else [`RpcError::Server`].
    pub(crate) fn from_server(at: &str, method: &str, error: ServerError) -> Self {
        let error = ServerError {
            message: reason(&error.message),
            ..error
        };
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
            reason: parser_reason(&reason.to_string()),
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
            RpcError::Proxy { at, reason } => Self::Proxy { at, reason },
            RpcError::Unauthorized { at, reason } => Self::Unauthorized { at, reason },
            RpcError::NoCookie { at, reason } => Self::NoCookie { at, reason },
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

/// Maps a refused REST request. A starting node answers 503 to all of them (`CheckWarmup` in `src/rest.cpp`).
pub(super) fn rest(at: &str, path: &str, status: StatusCode, body: &[u8]) -> RpcError {
    let reason = excerpt(body);
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

/// The start of a human-readable body.
pub(crate) fn excerpt(body: &[u8]) -> String {
    reason_of_bytes(body)
}
