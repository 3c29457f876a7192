//! Errors of requests, as JSON-RPC 2.0 and the Electrum protocol number them.

use std::fmt::Display;

use sdk_relay_chain::SourceError;
use sdk_relay_echo::reason;

/// The line is not JSON.
const NOT_JSON: i64 = -32_700;
/// The line is no request, or too large.
const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
const UNKNOWN_METHOD: i64 = -32_601;
/// A parameter is wrong, or a limit is reached.
const INVALID_PARAMETER: i64 = -32_602;
/// The relay itself failed.
const INTERNAL: i64 = -32_603;
/// The request is understood, and cannot be answered (ElectrumX: `BAD_REQUEST`).
const BAD_REQUEST: i64 = 1;
/// The node, or the backend, did not answer (ElectrumX: `DAEMON_ERROR`).
const UNAVAILABLE: i64 = 2;

/// Why a request fails. The message never contains a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    /// The number of its kind.
    pub(crate) code: i64,
    /// A sentence for people.
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn not_json() -> Self {
        Self::new(
            NOT_JSON,
            "the line is not JSON: expected one request, or a batch of them, in each line",
        )
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    pub(crate) fn unknown_method(message: impl Into<String>) -> Self {
        Self::new(UNKNOWN_METHOD, message)
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMETER, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(BAD_REQUEST, message)
    }

    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(UNAVAILABLE, reason(&message.to_string()))
    }

    /// An error of the backend, as it is.
    pub(crate) fn of_backend(code: i64, message: &str) -> Self {
        Self::new(code, reason(message))
    }

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<SourceError> for RpcError {
    fn from(error: SourceError) -> Self {
        Self::unavailable(format!("the node of this relay: {error}"))
    }
}
