//! `GET /sync/status`, `POST /sync/force` and its follow-up, `GET /sync/history`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SyncType;

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    /// The answer reached the other side's socket, or ours.
    Success,
    /// See `error`.
    Failed,
}

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncDirection {
    /// The other side asked this relay.
    Inbound,
    /// This relay asked the other side.
    Outbound,
}

/// `GET /sync/status`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "syncing", "last_sync": 1703001600, "next_sync": 1703001630,
    "sync_types": ["StateSync", "HealthSync", "MetricsSync"],
    "errors": [],
    "statistics": {"total_syncs": 150, "successful_syncs": 148, "failed_syncs": 2, "success_rate": 98.67, "avg_duration": 45.2},
    "active_syncs": [{"sync_type": "StateSync", "target_relay": "relay-2", "started": 1703001600, "status": "in_progress"}],
    "timestamp": 1703001600
})))]
pub struct SyncStatus {
    /// `syncing` while this relay waits for another one's answer, else `idle`.
    pub status: String,
    /// Unix second of the newest entry of the history; `null` before the first.
    #[schema(required)]
    pub last_sync: Option<u64>,
    /// Unix second of this relay's next own `StateSync`.
    #[schema(required)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncStatistics {
    /// All that ended.
    pub total_syncs: u64,
    /// Those that did not fail.
    pub successful_syncs: u64,
    /// Those that did.
    pub failed_syncs: u64,
    /// Percent; `null` before the first.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// Milliseconds; `null` before the first.
    #[schema(required)]
    pub avg_duration: Option<f64>,
}

/// A sync whose answer is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"sync_types": ["StateSync", "HealthSync"]})))]
pub struct ForceSyncRequest {
    /// `StateSync`, `HealthSync`, `MetricsSync`; left out: all three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<SyncType>>, min_items = 1)]
    pub sync_types: Option<Vec<String>>,
    /// Names of relays; left out: all that this relay has a link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1)]
    pub target_relays: Option<Vec<String>>,
}

/// Answer to `POST /sync/force`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "sync_triggered", "sync_types": ["StateSync", "HealthSync"], "target_relays": ["relay-2", "relay-3"],
    "timestamp": 1703001600, "estimated_duration": "30s", "sync_id": "sync-789"
})))]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "sync_id": "sync-789", "status": "completed", "sync_types": ["StateSync"], "target_relays": ["relay-2"],
    "results": [{"target_relay": "relay-2", "sync_type": "StateSync", "status": "success", "latency": 45.2, "error": null}],
    "started": 1703001600, "finished": 1703001601, "timestamp": 1703001660
})))]
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
    #[schema(required)]
    pub finished: Option<u64>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// How one sync of a forced one ended.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct ForcedResult {
    /// Who was asked.
    pub target_relay: String,
    /// For what.
    pub sync_type: SyncType,
    /// How it ended.
    pub status: SyncOutcome,
    /// Milliseconds to the answer; `null` without one.
    #[schema(required)]
    pub latency: Option<f64>,
    /// What went wrong.
    #[schema(required)]
    pub error: Option<String>,
}

/// `GET /sync/history`: syncs that this relay took part in, newest first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "history": [
        {
            "timestamp": 1703001600, "sync_type": "StateSync", "target_relay": "relay-2", "status": "success", "duration": 45,
            "message_id": "msg-123", "payload_size": 1024, "latency": 45.2, "direction": "inbound", "error": null
        }
    ],
    "total": 1, "successful": 1, "failed": 0,
    "filters": {"limit": 10, "since": 1703000000, "sync_type": "StateSync", "target_relay": null, "status": null},
    "timestamp": 1703001600
})))]
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
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
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
    #[schema(required)]
    pub error: Option<String>,
}

/// The filters of `GET /sync/history`; `null` where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SyncHistoryFilters {
    /// Entries listed at most.
    pub limit: u64,
    /// Unix seconds: entries of this second and later.
    #[schema(required)]
    pub since: Option<u64>,
    /// Kind of sync.
    #[schema(required)]
    pub sync_type: Option<SyncType>,
    /// The other side.
    #[schema(required)]
    pub target_relay: Option<String>,
    /// How it ended.
    #[schema(required)]
    pub status: Option<SyncOutcome>,
}
