//! Messages that the relay sends over a WebSocket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AttachResponse, ErrorMessage, HandshakeResponse, Notification, RelayChallenge, SubscribeResponse, SyncMessage,
    SyncResponse, UnsubscribeResponse, UnwatchResponse, WatchEnded, WatchGap, WatchProgress, WatchResponse,
};

/// A message to a client; `type` comes first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Answer to `handshake`.
    HandshakeResponse(HandshakeResponse),
    /// Between relays: request for a proof of identity.
    RelayChallenge(RelayChallenge),
    /// An event: a payment, a block, tweaks or a relay.
    Notification(Notification),
    /// Report on a topic: state, health or metrics of this relay.
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
    /// Progress of the scan of a watch's history.
    WatchProgress(WatchProgress),
    /// Answer to `unwatch`.
    UnwatchResponse(UnwatchResponse),
    /// Answer to `attach`.
    AttachResponse(AttachResponse),
    /// Matches of a detached watch are lost.
    WatchGap(WatchGap),
    /// A detached watch has ended, or another connection has attached to it.
    WatchEnded(WatchEnded),
    /// A message was not accepted.
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
