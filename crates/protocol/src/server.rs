//! Everything that a relay says on a WebSocket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ErrorMessage, HandshakeResponse, Notification, RelayChallenge, SubscribeResponse, SyncMessage, SyncResponse,
    UnsubscribeResponse, UnwatchResponse, WatchProgress, WatchResponse,
};

/// A message to a client; `type` comes first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Answer to `handshake`.
    HandshakeResponse(HandshakeResponse),
    /// Between relays: prove who you are.
    RelayChallenge(RelayChallenge),
    /// Something happened.
    Notification(Notification),
    /// This relay's state, health or metrics, on a topic.
    Sync(SyncMessage),
    /// Answer to `sync`.
    SyncResponse(SyncResponse),
    /// Answer to `ping`.
    Pong(Pong),
    /// Answer to `subscribe`.
    SubscribeResponse(SubscribeResponse),
    /// Answer to `unsubscribe`.
    UnsubscribeResponse(UnsubscribeResponse),
    /// Answer to `watch`.
    WatchResponse(WatchResponse),
    /// How far the history of a watch is told.
    WatchProgress(WatchProgress),
    /// Answer to `unwatch`.
    UnwatchResponse(UnwatchResponse),
    /// A message was wrong.
    Error(ErrorMessage),
}

/// `pong`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Pong {
    /// This relay's name.
    pub relay_id: String,
    /// Unix seconds.
    pub timestamp: u64,
}
