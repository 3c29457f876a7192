//! `GET /sync/status`, `POST /sync/force` and its follow-up, `GET /sync/history`.

use serde::{Deserialize, Serialize};

use crate::SyncType;

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    /// The answer reached the other side's socket, or ours.
    Success,
    /// See `error`.
    Failed,
}

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncDirection {
    /// The other side asked this relay.
    Inbound,
}

/// `GET /sync/status`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SyncStatus {
    /// `syncing` while this relay waits for another one's answer, else `idle`.
    pub status: String,
    /// Unix second of the newest entry of the history; `null` before the first.
    pub last_sync: Option<u64>,
    /// Unix second of this relay's next own `StateSync`.
    pub next_sync: Option<u64>,
    /// The kinds of sync that this relay takes part in.
    pub sync_types: Vec<SyncType>,
    /// The last that failed, newest first.
    pub errors: Vec<SyncFailure>,
    /// Counts since the start.
    pub statistics: SyncStatistics,
    /// Those for whose answer this relay waits.
    pub active_syncs: Vec<ActiveSync>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A sync that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SyncFailure {
    /// Unix seconds.
    pub timestamp: u64,
    /// Its kind.
    pub sync_type: SyncType,
    /// The other side.
    pub target_relay: String,
    /// What went wrong.
    pub error: String,
}

/// Counts of syncs since the start.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SyncStatistics {
    /// All that ended.
    pub total_syncs: u64,
    /// Those that did not fail.
    pub successful_syncs: u64,
    /// Those that did.
    pub failed_syncs: u64,
    /// Percent; `null` before the first.
    pub success_rate: Option<f64>,
    /// Milliseconds; `null` before the first.
    pub avg_duration: Option<f64>,
}

/// A sync whose answer is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ActiveSync {
    /// Its kind.
    pub sync_type: SyncType,
    /// The other side.
    pub target_relay: String,
    /// Unix seconds.
    pub started: u64,
    /// `in_progress`.
    pub status: String,
}

/// `POST /sync/force`. Both fields, and the body, may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ForceSyncRequest {
    /// `StateSync`, `HealthSync`, `MetricsSync`; left out: all three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_types: Option<Vec<String>>,
    /// Names of relays; left out: all that this relay has a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_relays: Option<Vec<String>>,
}

/// Answer to `POST /sync/force`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ForceSyncResponse {
    /// `sync_triggered`.
    pub status: String,
    /// What is asked for.
    pub sync_types: Vec<SyncType>,
    /// Who is asked; empty where there is nobody.
    pub target_relays: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// At most this long it takes, `"30s"`.
    pub estimated_duration: String,
    /// For `GET /sync/force/{sync_id}`.
    pub sync_id: String,
}

/// How far a forced sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForcedState {
    /// Answers are awaited.
    InProgress,
    /// Every answer came; so too where nobody was to be asked.
    Completed,
    /// Some answer did not come.
    Failed,
}

/// `GET /sync/force/{sync_id}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ForcedSync {
    /// As `POST /sync/force` gave it.
    pub sync_id: String,
    /// How far it is.
    pub status: ForcedState,
    /// What was asked for.
    pub sync_types: Vec<SyncType>,
    /// Who was asked.
    pub target_relays: Vec<String>,
    /// One for each kind and target that is through.
    pub results: Vec<ForcedResult>,
    /// Unix second at which it began.
    pub started: u64,
    /// Unix second at which it ended; `null` before.
    pub finished: Option<u64>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// How one sync of a forced one ended.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ForcedResult {
    /// Who was asked.
    pub target_relay: String,
    /// For what.
    pub sync_type: SyncType,
    /// How it ended.
    pub status: SyncOutcome,
    /// Milliseconds to the answer; `null` without one.
    pub latency: Option<f64>,
    /// What went wrong.
    pub error: Option<String>,
}

/// `GET /sync/history`: syncs that this relay took part in, newest first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SyncHistory {
    /// Those that match the filters, `limit` at most.
    pub history: Vec<SyncRecord>,
    /// All that match the filters, not only the listed ones.
    pub total: u64,
    /// Of these, those that did not fail.
    pub successful: u64,
    /// Of these, those that did.
    pub failed: u64,
    /// The filters as they were understood.
    pub filters: SyncHistoryFilters,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A sync that is over. The store keeps it in this form: new fields must have a default.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SyncRecord {
    /// Unix second of its end.
    pub timestamp: u64,
    /// Its kind.
    pub sync_type: SyncType,
    /// The other side: its `relay_id`, else its `client_id`.
    pub target_relay: String,
    /// How it ended.
    pub status: SyncOutcome,
    /// Whole milliseconds from the request to the end.
    pub duration: u64,
    /// `message_id` of the request.
    pub message_id: String,
    /// Bytes of the answer.
    pub payload_size: u64,
    /// Milliseconds from the request to the answer, as `avg_latency` averages them.
    pub latency: f64,
    /// Who asked whom.
    pub direction: SyncDirection,
    /// What went wrong; `null` where nothing did.
    #[serde(default)]
    pub error: Option<String>,
}

/// The filters of `GET /sync/history`; `null` where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SyncHistoryFilters {
    /// Entries listed at most.
    pub limit: u64,
    /// Unix seconds: entries of this second and later.
    pub since: Option<u64>,
    /// Kind of sync.
    pub sync_type: Option<SyncType>,
    /// The other side.
    pub target_relay: Option<String>,
    /// How it ended.
    pub status: Option<SyncOutcome>,
}
