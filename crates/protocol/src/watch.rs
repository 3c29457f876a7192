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
    /// Where it is to end; without it, at the tip. What comes after this message is sent either way.
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
    /// What becomes of the history that was asked for. A relay from before this field leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryState>,
    /// First block at or above `from_height` that is scanned for this watch. `null` without `from_height`, and while it is not known yet.
    #[serde(default)]
    #[schema(required)]
    pub start_height: Option<u32>,
    /// Blocks of the history that cannot be scanned, as far as that is known yet.
    #[serde(default)]
    #[schema(required)]
    pub missing: Vec<MissingBlocks>,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// What becomes of a watch's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistoryState {
    /// There is nothing to scan: no `from_height`, one above the tip, or none of the blocks can be had.
    None,
    /// The request is kept; the scan begins once the relay has its first block and the index has come to the range.
    Waiting,
    /// The scan begins now.
    Scanning,
}

/// Blocks of a history that the relay cannot scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MissingBlocks {
    /// The first of them.
    pub from: u32,
    /// The last.
    pub to: u32,
    /// Why.
    pub reason: MissingReason,
}

/// Why a block of the history cannot be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    /// Below `index.start_height` of the relay.
    BelowStartHeight,
    /// The node has pruned the block, and the index did not have it by then.
    Pruned,
    /// The index's copy is damaged, and the node no longer has the block.
    Damaged,
    /// The relay did not see the block, and cannot fetch it.
    Unseen,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl std::fmt::Display for MissingBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, reason } = self;
        if from == to {
            write!(f, "block {from} ({reason})")
        } else {
            write!(f, "blocks {from} to {to} ({reason})")
        }
    }
}

impl std::fmt::Display for MissingReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BelowStartHeight => "below the relay's index.start_height",
            Self::Pruned => "pruned on the relay's node",
            Self::Damaged => "damaged in the relay's index, and pruned on its node",
            Self::Unseen => "not seen by the relay",
            Self::Other => "unknown reason",
        })
    }
}

/// `watch_progress`, to a client whose watch has a `from_height`: how much of the history is told.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct WatchProgress {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// From 0.0 to 1.0, which comes last.
    pub progress: f64,
    /// All blocks of the history up to this one were scanned, except for those in `missing`; before the first it is the block below it.
    pub height: u32,
    /// Blocks of the history that could not be scanned: in the message that follows their discovery, and in the last; empty in all others.
    #[serde(default)]
    #[schema(required)]
    pub missing: Vec<MissingBlocks>,
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
