//! `/watches/{watch_id}`: detached watches.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::HistoryState;

/// `GET /watches/{watch_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "watch_id": "watch-3f9a1c5e7b2d4806", "attached": false, "expires_at": 1703606400, "buffered": 2, "first_watch_seq": 2,
    "last_watch_seq": 4, "gap": {"first_watch_seq": 4, "last_watch_seq": 4, "from_height": 121}, "history": "none",
    "height": 120, "timestamp": 1703001600
})))]
pub struct DetachedWatch {
    /// As in the `watch_response`.
    pub watch_id: String,
    /// Whether a connection is attached to it.
    pub attached: bool,
    /// When it ends if nobody attaches to it, Unix seconds; `null` while a connection is attached.
    #[schema(required)]
    pub expires_at: Option<u64>,
    /// Matches that are kept.
    pub buffered: u64,
    /// First `watch_seq` that is not released; `null` if all matches are.
    #[schema(required)]
    pub first_watch_seq: Option<u64>,
    /// `watch_seq` of the newest match; 0 before the first.
    pub last_watch_seq: u64,
    /// Matches that were found while the buffer was full, and are lost; `null` if there are none.
    #[schema(required)]
    pub gap: Option<LostMatches>,
    /// State of its history.
    pub history: HistoryState,
    /// All blocks up to this one are scanned, from the first block of the history on. `null` before the relay has its
    /// first block, and before the first block of the history is scanned.
    #[schema(required)]
    pub height: Option<u32>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Matches that are lost, and were not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LostMatches {
    /// `watch_seq` of the first.
    pub first_watch_seq: u64,
    /// `watch_seq` of the last. Some between them may be kept.
    pub last_watch_seq: u64,
    /// A watch of the same keys with this `from_height` finds them again.
    pub from_height: u32,
}

/// `DELETE /watches/{watch_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"status": "unwatched", "watch_id": "watch-3f9a1c5e7b2d4806", "timestamp": 1703001600})))]
pub struct WatchDeleted {
    /// `unwatched`.
    pub status: String,
    /// Id of the watch that ended.
    pub watch_id: String,
    /// Unix seconds.
    pub timestamp: u64,
}
