//! `sync` messages: what relays tell each other, and clients on the topics of the same names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mesh::Gossip;

/// What a `sync` message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub enum SyncType {
    /// Uptime, tip, connections.
    StateSync,
    /// Memory, processor, errors.
    HealthSync,
    /// Counters of the mesh.
    MetricsSync,
}

impl SyncType {
    /// All of them, in the reference's order.
    pub const ALL: [Self; 3] = [Self::StateSync, Self::HealthSync, Self::MetricsSync];
}

/// `sync` as a client sends it. Its payload is kept as it came.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Sync {
    /// What is asked for, and what the payload holds.
    pub sync_type: SyncType,
    /// The sender's name, where it is a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_id: Option<String>,
    /// The sender's own state, health or metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Map<String, serde_json::Value>>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// Name of the message, unique for its sender.
    pub message_id: String,
}

/// `sync` as this relay sends it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncMessage {
    /// What the payload holds.
    pub sync_type: SyncType,
    /// This relay's name.
    pub relay_id: String,
    /// State, health or metrics.
    pub payload: SyncPayload,
    /// Unix seconds.
    pub timestamp: u64,
    /// Unique name of this message.
    pub message_id: String,
}

/// `sync_response`: the same with the request's name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncResponse {
    /// As asked.
    pub sync_type: SyncType,
    /// This relay's name.
    pub relay_id: String,
    /// State, health or metrics.
    pub payload: SyncPayload,
    /// Unix seconds.
    pub timestamp: u64,
    /// Unique name of this message.
    pub message_id: String,
    /// `message_id` of the request.
    pub in_reply_to: String,
}

/// `sync_response` as a relay sends it to the one that it connected to. Its payload is kept as it came.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncReply {
    /// As asked.
    pub sync_type: SyncType,
    /// The sender's name.
    pub relay_id: String,
    /// The sender's own state, health or metrics.
    pub payload: serde_json::Map<String, serde_json::Value>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// Unique name of this message.
    pub message_id: String,
    /// `message_id` of the request.
    pub in_reply_to: String,
}

/// The three payloads; each sits below a key of its own name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SyncPayload {
    /// Of `StateSync`.
    State(StatePayload),
    /// Of `HealthSync`.
    Health(HealthPayload),
    /// Of `MetricsSync`.
    Metrics(MetricsPayload),
}

/// Payload of `StateSync`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct StatePayload {
    /// The report.
    pub state: StateReport,
    /// What the sender passes on about other relays; on links between relays only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub gossip: Option<Box<Gossip>>,
}

/// Payload of `HealthSync`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct HealthPayload {
    /// The report.
    pub health: HealthReport,
}

/// Payload of `MetricsSync`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct MetricsPayload {
    /// The report.
    pub metrics: MetricsReport,
}

/// What a relay is doing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct StateReport {
    /// Seconds since the start.
    pub uptime: u64,
    /// API version.
    pub version: String,
    /// Bitcoin network.
    pub network: String,
    /// `healthy`, `degraded` or `critical`.
    pub status: String,
    /// Height of the tip up to which events are logged; `null` before the first.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// WebSocket connections now.
    pub connections: u64,
    /// Relays known, this one included.
    pub known_relays: u64,
    /// Links to other relays now.
    pub mesh_connections: u64,
    /// The program's own version.
    #[serde(default)]
    #[schema(required)]
    pub software_version: String,
}

/// How a relay feels.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct HealthReport {
    /// `healthy`, `degraded` or `critical`.
    pub status: String,
    /// Resident memory, `"128MB"`.
    #[schema(required)]
    pub memory_usage: Option<String>,
    /// Share of one processor since the last look, `"5%"`.
    #[schema(required)]
    pub cpu_usage: Option<String>,
    /// Size of the data directory, `"2GB"`.
    #[schema(required)]
    pub disk_usage: Option<String>,
    /// Mean round trip to the linked relays in milliseconds; `null` without a link.
    #[schema(required)]
    pub network_latency: Option<f64>,
    /// Errors logged since the start.
    pub error_count: u64,
    /// The last of them.
    #[schema(required)]
    pub last_error: Option<String>,
    /// `memory_usage` in bytes.
    #[serde(default)]
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// `cpu_usage` in percent.
    #[serde(default)]
    #[schema(required)]
    pub cpu_percent: Option<f64>,
    /// `disk_usage` in bytes.
    #[serde(default)]
    #[schema(required)]
    pub disk_bytes: Option<u64>,
}

/// What a relay counts of its mesh.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct MetricsReport {
    /// Relays known, this one included.
    pub known_relays: u64,
    /// Links to other relays now.
    pub mesh_connections: u64,
    /// `sync` messages received and sent as requests.
    pub sync_requests: u64,
    /// `sync_response` messages received and sent.
    pub sync_responses: u64,
    /// Requests answered from the cache.
    pub cache_hits: u64,
    /// Requests that were not in the cache.
    pub cache_misses: u64,
    /// Mean time to answer or to be answered, in milliseconds; `null` before the first.
    #[schema(required)]
    pub avg_latency: Option<f64>,
    /// Syncs that failed.
    pub error_count: u64,
    /// Percentage of syncs that did not fail; `null` before the first.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// WebSocket messages in and out per second, over the last minute; those about watches and errors are not counted.
    pub messages_per_second: f64,
}
