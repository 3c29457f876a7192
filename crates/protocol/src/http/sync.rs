//! `GET /sync/status`, `POST /sync/force` and its follow-up, `GET /sync/history`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SyncType;

/// Result of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    /// The response was delivered.
    Success,
    /// The response could not be delivered, or did not arrive; see `error`.
    Failed,
}

/// Direction of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncDirection {
    /// The other side sent the request.
    Inbound,
    /// This relay sent the request.
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
    /// `syncing` while this relay waits for a response, otherwise `idle`.
    pub status: String,
    /// Unix second of the newest entry of the history; `null` before the first.
    #[schema(required)]
    pub last_sync: Option<u64>,
    /// Unix second at which the next `StateSync` of this relay is due.
    #[schema(required)]
    pub next_sync: Option<u64>,
    /// Kinds of sync that this relay supports.
    pub sync_types: Vec<SyncType>,
    /// The last ten failed syncs, newest first.
    pub errors: Vec<SyncFailure>,
    /// Counts since the start.
    pub statistics: SyncStatistics,
    /// Requests that wait for a response.
    pub active_syncs: Vec<ActiveSync>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A failed sync.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SyncFailure {
    /// Unix seconds.
    pub timestamp: u64,
    /// Kind of the sync.
    pub sync_type: SyncType,
    /// The other side: the `relay_id` of a relay that has proven its identity, otherwise the `connection_id`.
    pub target_relay: String,
    /// Why it failed.
    pub error: String,
}

/// Counts of syncs since the start.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncStatistics {
    /// Number of finished syncs.
    pub total_syncs: u64,
    /// Number of these that did not fail.
    pub successful_syncs: u64,
    /// Number of these that failed.
    pub failed_syncs: u64,
    /// Percentage of syncs that did not fail; `null` before the first sync.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// Mean duration in milliseconds; `null` before the first sync.
    #[schema(required)]
    pub avg_duration: Option<f64>,
}

/// A request that waits for a response.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ActiveSync {
    /// Kind of the sync.
    pub sync_type: SyncType,
    /// The other side: the `relay_id` of a relay that has proven its identity, otherwise the `connection_id`.
    pub target_relay: String,
    /// When the request was sent, in Unix seconds.
    pub started: u64,
    /// `in_progress`.
    pub status: String,
}

/// `POST /sync/force`. Both fields and the body are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"sync_types": ["StateSync", "HealthSync"]})))]
pub struct ForceSyncRequest {
    /// Kinds of sync; the default is all three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<SyncType>>, min_items = 1)]
    pub sync_types: Option<Vec<String>>,
    /// Names of relays; the default is all relays to which this relay has a link.
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
    /// Requested kinds of sync.
    pub sync_types: Vec<SyncType>,
    /// Relays that are asked; empty if this relay has no link.
    pub target_relays: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Maximum duration, `"30s"`.
    pub estimated_duration: String,
    /// Id of the forced sync, for `GET /sync/force/{sync_id}`.
    pub sync_id: String,
}

/// State of a forced sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForcedState {
    /// Waiting for responses.
    InProgress,
    /// Every response has arrived, or no relay was to be asked.
    Completed,
    /// At least one response did not arrive.
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
    /// Id of the forced sync, from `POST /sync/force`.
    pub sync_id: String,
    /// State of the forced sync.
    pub status: ForcedState,
    /// Requested kinds of sync.
    pub sync_types: Vec<SyncType>,
    /// Relays that were asked.
    pub target_relays: Vec<String>,
    /// One result for each finished kind and target.
    pub results: Vec<ForcedResult>,
    /// When it began, in Unix seconds.
    pub started: u64,
    /// When it ended, in Unix seconds; `null` before.
    #[schema(required)]
    pub finished: Option<u64>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Result for one kind and target of a forced sync.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct ForcedResult {
    /// Relay that was asked.
    pub target_relay: String,
    /// Kind of the sync.
    pub sync_type: SyncType,
    /// Result of the sync.
    pub status: SyncOutcome,
    /// Milliseconds until the response; `null` without one.
    #[schema(required)]
    pub latency: Option<f64>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<String>,
}

/// `GET /sync/history`: finished syncs of this relay, newest first.
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
    /// Entries that match the filters, at most `limit`.
    pub history: Vec<SyncRecord>,
    /// Number of entries that match the filters, including those not listed.
    pub total: u64,
    /// Number of these that did not fail.
    pub successful: u64,
    /// Number of these that failed.
    pub failed: u64,
    /// The filters that were applied.
    pub filters: SyncHistoryFilters,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A finished sync.
// The store keeps it in this form: a new field needs a default.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncRecord {
    /// When it ended, in Unix seconds.
    pub timestamp: u64,
    /// Kind of the sync.
    pub sync_type: SyncType,
    /// The other side: the `relay_id` of a relay that has proven its identity, otherwise the `connection_id`.
    pub target_relay: String,
    /// Result of the sync.
    pub status: SyncOutcome,
    /// Whole milliseconds until the response was handed to the connection.
    pub duration: u64,
    /// `message_id` of the request.
    pub message_id: String,
    /// Size of the response in bytes.
    pub payload_size: u64,
    /// Milliseconds until the response was ready; `avg_latency` is their mean.
    pub latency: f64,
    /// Direction of the request.
    pub direction: SyncDirection,
    /// Why it failed; `null` if it did not.
    #[serde(default)]
    #[schema(required)]
    pub error: Option<String>,
}

/// Filters of `GET /sync/history`; `null` if not set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SyncHistoryFilters {
    /// Maximum number of entries listed.
    pub limit: u64,
    /// Oldest entry, in Unix seconds, inclusive.
    #[schema(required)]
    pub since: Option<u64>,
    /// Kind of sync.
    #[schema(required)]
    pub sync_type: Option<SyncType>,
    /// The other side: the `relay_id` of a relay that has proven its identity, otherwise the `connection_id`.
    #[schema(required)]
    pub target_relay: Option<String>,
    /// Result of the sync.
    #[schema(required)]
    pub status: Option<SyncOutcome>,
}
