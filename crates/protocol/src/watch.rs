//! Watches: the relay scans with a client's scan key.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{SecretDescriptor, SecretHex, Since};

/// Most depths of `confirm_at`.
pub const MOST_DEPTHS: usize = 10;
/// Greatest depth of `confirm_at`: below it, payments are final, and the relay does not keep them.
pub const GREATEST_DEPTH: u32 = 2016;

/// Whether these are depths of `confirm_at`: at most [`MOST_DEPTHS`] increasing numbers from 1 to [`GREATEST_DEPTH`].
pub fn are_depths(depths: &[u32]) -> bool {
    let is_increasing = depths.is_sorted_by(|a, b| a < b);
    is_increasing && depths.len() <= MOST_DEPTHS && depths.iter().all(|depth| (1..=GREATEST_DEPTH).contains(depth))
}

/// `watch`, from the client: with two keys, or with a descriptor. The relay holds the key in memory while the watch
/// lasts, and never writes it to a disk or a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Watch {
    /// Scan private key, 32 bytes in hex. Required without `descriptor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scan_private_key: Option<SecretHex>,
    /// Spend public key, 33 bytes in hex. Required without `descriptor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub spend_public_key: Option<String>,
    /// Descriptor of the wallet (BIP392) in a form that cannot spend, instead of the two keys. Its annotations (BIP393)
    /// are used where the message has no field for them: the highest label (`ml`) without `labels`, and the birthday
    /// (`bh`) without `from_height` and `from_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<SecretDescriptor>,
    /// Labels in use. Label 0, the change label, is always scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<u32>>,
    /// First block of the history to scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_height: Option<u32>,
    /// Time since which the history is to be scanned, instead of `from_height`: the relay begins at the first block
    /// that can be of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_time: Option<Since>,
    /// Last block of the history; the default is the tip. Later payments are sent live in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_height: Option<u32>,
    /// Depths in the chain at which `payment_confirmed` is sent: at most 10 increasing numbers from 1 to 2,016.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 10)]
    pub confirm_at: Option<Vec<u32>>,
    /// Makes the watch a detached one: it goes on for this many seconds after its connection has ended, at most
    /// `limits.detached_seconds`, and keeps its matches until the client attaches to it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub detach: Option<u32>,
    /// Returned as `in_reply_to`; at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `watch_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct WatchResponse {
    /// `watching`.
    pub status: String,
    /// Id of the watch, for `unwatch` and in its notifications.
    pub watch_id: String,
    /// Silent-payment address of the keys.
    pub address: String,
    /// State of the requested history. Relays of older versions omit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryState>,
    /// First block of the requested history: `from_height`, or the block that the relay found for `from_time` or for
    /// the birthday of the descriptor. `null` without any of them.
    #[serde(default)]
    #[schema(required)]
    pub from_height: Option<u32>,
    /// First block at or above `from_height` that is scanned for this watch. `null` without `from_height`, and while
    /// it is not known.
    #[serde(default)]
    #[schema(required)]
    pub start_height: Option<u32>,
    /// Blocks of the history that cannot be scanned, as far as known, in order.
    #[serde(default)]
    #[schema(required)]
    pub missing: Vec<MissingBlocks>,
    /// Only with `detach`, and only in this message: the secret that `attach` needs, 32 bytes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub watch_token: Option<SecretHex>,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// State of a watch's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistoryState {
    /// There is nothing to scan: there is no `from_height`, it is above the tip, or none of the blocks is available.
    None,
    /// The relay keeps the request, and starts the scan when it has its first block and its index has reached the
    /// range.
    Waiting,
    /// The scan starts now.
    Scanning,
}

/// Blocks of a history that the relay cannot scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MissingBlocks {
    /// First block of the range.
    pub from: u32,
    /// Last block of the range.
    pub to: u32,
    /// Why these blocks cannot be scanned.
    pub reason: MissingReason,
}

/// Why a block of the history cannot be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    /// The index of the relay starts above this block (`index.start_height`).
    BelowStartHeight,
    /// The node no longer has the block, and the index does not have it.
    Pruned,
    /// The copy in the index is damaged, and the node no longer has the block.
    Damaged,
    /// The relay did not see the block, and has no index.
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

/// `watch_progress`, to a client whose watch has a history: progress of its scan.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct WatchProgress {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// 0.0 in the first message, 1.0 in the last one.
    pub progress: f64,
    /// All blocks of the history up to this height have been scanned, except those in `missing`. Before the first
    /// block it is the height below it.
    pub height: u32,
    /// Blocks of the history that cannot be scanned: in the first message after one of them is found, and in the last
    /// message; otherwise empty.
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
    /// Returned as `in_reply_to`; at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// `unwatch_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct UnwatchResponse {
    /// `unwatched`.
    pub status: String,
    /// Id of the watch that ended.
    pub watch_id: String,
    /// `message_id` of the request.
    #[schema(required)]
    pub in_reply_to: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

impl Watch {
    /// A watch with two keys: the scan private key, and the spend public key in hex.
    pub fn of_keys(scan_private_key: SecretHex, spend_public_key: String) -> Self {
        Self {
            scan_private_key: Some(scan_private_key),
            spend_public_key: Some(spend_public_key),
            ..Self::default()
        }
    }
}
