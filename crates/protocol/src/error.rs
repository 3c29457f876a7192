//! Error and close codes of the WebSocket API: given here, and nowhere else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of mistake an `error` message speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The text is no JSON object.
    InvalidJson,
    /// `type` is missing or names no message that a client may send.
    UnknownType,
    /// A field is missing, of the wrong type, or has an unacceptable value.
    InvalidField,
    /// The client lacks the capability or the right.
    NotAuthorized,
    /// Too many in too short a time.
    RateLimited,
    /// Not possible now, or not offered by this relay.
    Unavailable,
    /// The connection has as many watches as it may have.
    TooManyWatches,
    /// A fault of the relay.
    Internal,
}

/// The `error` message. The connection stays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ErrorMessage {
    /// Kind of mistake.
    pub code: ErrorCode,
    /// What is wrong and what would be right.
    pub message: String,
    /// `message_id` of the message that this answers, where it had one.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix second at which the message was made.
    pub timestamp: u64,
}

/// Why the relay closes a WebSocket connection (RFC 6455, section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client asked for it.
    Normal = 1000,
    /// The relay shuts down.
    GoingAway = 1001,
    /// No handshake in time, a message before it, a refused one, or ten errors in a row.
    Protocol = 1002,
    /// A binary frame.
    Unsupported = 1003,
    /// Not authorized, or a message that was not complete in time.
    Policy = 1008,
    /// A message over the size limit.
    TooBig = 1009,
    /// A fault of the relay.
    Server = 1011,
    /// The relay restarts.
    Restart = 1012,
    /// Too many connections, the client reads too slowly, or memory for unfinished messages is short.
    TryAgain = 1013,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }
}
