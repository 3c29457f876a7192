//! Error codes and close codes of the WebSocket API, defined only here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Kind of error that an `error` message reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message is not a JSON object.
    InvalidJson,
    /// `type` is missing or unknown.
    UnknownType,
    /// A field is missing, has the wrong type or an unacceptable value.
    InvalidField,
    /// The handshake did not request the capability.
    NotAuthorized,
    /// Too many messages or watches in too short a time.
    RateLimited,
    /// The relay does not offer this, or cannot do it now.
    Unavailable,
    /// The connection has `limits.watches_per_connection` watches, or the client IP address has
    /// `limits.detached_watches_per_address` detached ones.
    TooManyWatches,
    /// No detached watch has this `watch_id` and this `watch_token`.
    NotFound,
    /// A fault of the relay.
    Internal,
}

/// `error`: a message was not accepted. The connection stays open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ErrorMessage {
    /// Kind of error.
    pub code: ErrorCode,
    /// What is wrong, and what is expected.
    pub message: String,
    /// `message_id` of the message that caused the error; `null` if it had none.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix second at which the message was made.
    pub timestamp: u64,
}

/// Close codes of the relay (RFC 6455, section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client closed the connection.
    Normal = 1000,
    /// The relay shuts down, or has received nothing from the client for 90 s.
    GoingAway = 1001,
    /// No handshake in time, another message before it, a rejected handshake, ten errors in a row, or an invalid
    /// frame.
    Protocol = 1002,
    /// The client sent a binary message.
    Unsupported = 1003,
    /// Not authorized, or a message was not complete in time.
    Policy = 1008,
    /// The client sent a message over 1 MiB.
    TooBig = 1009,
    /// A fault of the relay.
    Server = 1011,
    /// The relay restarts.
    Restart = 1012,
    /// The relay cannot serve this connection now: too many connections, a client that reads too slowly, scans that
    /// are too far behind, or no memory for unfinished messages.
    TryAgain = 1013,
}

impl CloseCode {
    /// The code as sent in a close frame.
    pub fn code(self) -> u16 {
        self as u16
    }
}
