//! `sync` messages: reports between relays, and to clients on request and on topics.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mesh::Gossip;

/// Kind of report.
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
    /// All kinds, in the order of the API reference.
    pub const ALL: [Self; 3] = [Self::StateSync, Self::HealthSync, Self::MetricsSync];
}

/// `sync` as a client sends it. The payload is kept unparsed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Sync {
    /// Requested report, and the kind of the payload.
    pub sync_type: SyncType,
    /// Name of the sender, if it is a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_id: Option<String>,
    /// State, health or metrics of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Map<String, serde_json::Value>>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// Id of the message, unique for its sender, at most 128 bytes.
    pub message_id: String,
}

/// `sync` as this relay sends it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncMessage {
    /// Kind of the payload.
    pub sync_type: SyncType,
    /// This relay's name.
    pub relay_id: String,
    /// State, health or metrics.
    pub payload: SyncPayload,
    /// Unix seconds.
    pub timestamp: u64,
    /// Unique id of this message.
    pub message_id: String,
}

/// `sync_response`: a report, and the id of the request.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncResponse {
    /// As in the request.
    pub sync_type: SyncType,
    /// This relay's name.
    pub relay_id: String,
    /// State, health or metrics.
    pub payload: SyncPayload,
    /// Unix seconds.
    pub timestamp: u64,
    /// Unique id of this message.
    pub message_id: String,
    /// `message_id` of the request.
    pub in_reply_to: String,
}

/// `sync_response` as a relay sends it to the relay that it connected to. The payload is kept unparsed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncReply {
    /// As in the request.
    pub sync_type: SyncType,
    /// Name of the sender.
    pub relay_id: String,
    /// State, health or metrics of the sender.
    pub payload: serde_json::Map<String, serde_json::Value>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// Unique id of this message.
    pub message_id: String,
    /// `message_id` of the request.
    pub in_reply_to: String,
}

/// The three payloads, each under a key with its name.
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
    /// Gossip about other relays; only on links between relays.
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

/// State of a relay.
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
    /// Height up to which events are logged; `null` before the first block.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// Current WebSocket connections.
    pub connections: u64,
    /// Known relays, including this one.
    pub known_relays: u64,
    /// Current links to other relays.
    pub mesh_connections: u64,
    /// Version of the program.
    #[serde(default)]
    #[schema(required)]
    pub software_version: String,
}

/// Health of a relay.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct HealthReport {
    /// `healthy`, `degraded` or `critical`.
    pub status: String,
    /// Resident memory, `"128MB"`.
    #[schema(required)]
    pub memory_usage: Option<String>,
    /// Processor time since the last measurement, as a share of one processor, `"5%"`.
    #[schema(required)]
    pub cpu_usage: Option<String>,
    /// Size of the data directory, `"2GB"`.
    #[schema(required)]
    pub disk_usage: Option<String>,
    /// Mean round-trip time to the linked relays in milliseconds; `null` without a link.
    #[schema(required)]
    pub network_latency: Option<f64>,
    /// Errors logged since the start.
    pub error_count: u64,
    /// Last error; `null` if there was none.
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

/// Mesh counters of a relay.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct MetricsReport {
    /// Known relays, including this one.
    pub known_relays: u64,
    /// Current links to other relays.
    pub mesh_connections: u64,
    /// `sync` messages received and sent as requests.
    pub sync_requests: u64,
    /// `sync_response` messages received and sent.
    pub sync_responses: u64,
    /// Requests answered from the cache.
    pub cache_hits: u64,
    /// Requests that were not answered from the cache.
    pub cache_misses: u64,
    /// Mean time to a response, in milliseconds; `null` before the first sync.
    #[schema(required)]
    pub avg_latency: Option<f64>,
    /// Failed syncs.
    pub error_count: u64,
    /// Percentage of syncs that did not fail; `null` before the first sync.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// WebSocket messages in and out per second, mean of the last minute, without those about watches and errors.
    pub messages_per_second: f64,
}
