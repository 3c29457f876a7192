//! Watches: remote scanning with a client's scan key.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SecretHex;

/// `watch`, from the client. The key is held in memory for as long as the connection lasts, and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Watch {
    /// Scan private key, 32 bytes in hex.
    pub scan_private_key: SecretHex,
    /// Spend public key, 33 bytes in hex.
    pub spend_public_key: String,
    /// Labels in use. The change label 0 is always scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<u32>>,
    /// Where a scan of the history is to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_height: Option<u32>,
    /// Where it is to end; without it, at the tip. What comes after this message is told either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_height: Option<u32>,
    /// Comes back as `in_reply_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `watch_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WatchResponse {
    /// `watching`.
    pub status: String,
    /// Name of the watch, for `unwatch` and in its notifications.
    pub watch_id: String,
    /// The silent-payment address that the keys make.
    pub address: String,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `watch_progress`, to a client whose watch has a `from_height`: how much of the history is told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct WatchProgress {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// From 0.0 to 1.0, which comes last.
    pub progress: f64,
    /// All blocks of the history up to this one are told; before the first it is the block below it.
    pub height: u32,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `unwatch`, from the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Unwatch {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// Comes back as `in_reply_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `unwatch_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct UnwatchResponse {
    /// `unwatched`.
    pub status: String,
    /// The watch that ended.
    pub watch_id: String,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}
