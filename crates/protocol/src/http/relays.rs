//! `GET /relays` and `GET /relays/{relay_id}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Health of a relay in lists of relays. `degraded` of `/health` is `warning` here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayHealth {
    /// No problem.
    Healthy,
    /// The relay is late, or reports that it is degraded.
    Warning,
    /// The relay has been silent for three intervals, or reports that it can serve nothing useful.
    Critical,
}

impl RelayHealth {
    /// Converts the `status` of `/health`, `StateSync` or `HealthSync`.
    pub fn from_status(status: &str) -> Option<Self> {
        match status {
            "healthy" => Some(Self::Healthy),
            "degraded" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// How this relay knows another relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It is this relay.
    Own,
    /// It connected to this relay.
    Inbound,
    /// This relay connected to it.
    Outbound,
    /// Other relays reported it; there is no link to it.
    Gossip,
}

/// `GET /relays`: this relay first, then the relays of its mesh, nearest first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "relays": [
        {
            "relay_id": "relay-1", "address": "relay-1.example.com:8090", "version": "1.0.0", "uptime": 3600, "health": "healthy",
            "last_seen": 1703001600, "capabilities": ["sync", "notifications", "health", "metrics", "tweaks", "watch"],
            "connections": 5, "metrics": {"sync_requests": 50, "sync_responses": 50, "avg_latency": 45.2},
            "latency": null, "public_key": "18a5b7c3d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a",
            "url": "ws://relay-1.example.com:8090", "link": "own", "last_block": 822000, "software_version": "0.1.0"
        },
        {
            "relay_id": "relay-2", "address": "relay-2.example.com:8090", "version": "1.0.0", "uptime": 1800, "health": "healthy",
            "last_seen": 1703001600, "capabilities": ["sync", "notifications"],
            "connections": 3, "metrics": {"sync_requests": 30, "sync_responses": 30, "avg_latency": 38.5},
            "latency": 12.5, "public_key": "28a5b7c3d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a",
            "url": "ws://relay-2.example.com:8090", "link": "inbound", "last_block": 822000, "software_version": "0.1.0"
        }
    ],
    "total": 2, "healthy": 2, "warning": 0, "critical": 0, "timestamp": 1703001600
})))]
pub struct RelayList {
    /// Relays that match the filter, at most `limit`.
    pub relays: Vec<RelaySummary>,
    /// Number of relays that match the filter, including those not listed.
    pub total: u64,
    /// Number of these that are healthy.
    pub healthy: u64,
    /// Number of these with a warning.
    pub warning: u64,
    /// Number of these that are critical.
    pub critical: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A relay in the list. Values that another relay has not reported are `null`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelaySummary {
    /// Name of the relay.
    pub relay_id: String,
    /// Advertised address of its WebSocket API, `HOST:PORT`. `null` if other machines cannot use it, or if this relay
    /// would not dial it.
    #[schema(required)]
    pub address: Option<String>,
    /// API version that the relay supports.
    pub version: String,
    /// Seconds since its start.
    #[schema(required)]
    pub uptime: Option<u64>,
    /// Health of the relay; see `RelayHealth`.
    #[schema(required)]
    pub health: Option<RelayHealth>,
    /// Unix second of its last message.
    pub last_seen: u64,
    /// What the relay offers.
    pub capabilities: Vec<String>,
    /// Its WebSocket connections.
    #[schema(required)]
    pub connections: Option<u64>,
    /// Sync counters that the relay reports.
    pub metrics: RelaySyncs,
    /// Round-trip time over the link in milliseconds; `null` without a link.
    #[serde(default)]
    #[schema(required)]
    pub latency: Option<f64>,
    /// Key that the relay has proven, or that signed its entry, 32 bytes in hex.
    #[serde(default)]
    #[schema(required)]
    pub public_key: Option<String>,
    /// The WebSocket URL of `address`.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// How this relay knows it.
    pub link: Link,
    /// Height up to which the relay logs events.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// Version of its program.
    #[schema(required)]
    pub software_version: Option<String>,
}

/// Sync counters of a relay since its start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelaySyncs {
    /// Requests received and sent.
    #[schema(required)]
    pub sync_requests: Option<u64>,
    /// Responses received and sent.
    #[schema(required)]
    pub sync_responses: Option<u64>,
    /// Mean time to a response, in milliseconds; `null` before the first sync.
    #[schema(required)]
    pub avg_latency: Option<f64>,
}

/// `GET /relays/{relay_id}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "relay_id": "relay-1", "address": "relay-1.example.com:8090", "version": "1.0.0", "uptime": 3600, "health": "healthy",
    "last_seen": 1703001600, "capabilities": ["sync", "notifications", "health", "metrics", "tweaks", "watch"], "connections": 5,
    "metrics": {"sync_requests": 50, "sync_responses": 50, "avg_latency": 45.2, "error_count": 0, "success_rate": 100.0},
    "configuration": {"network": "signet", "dev_mode": true, "sync_interval": 30},
    "status": {"bitcoin_connected": true, "blindbit_connected": true, "websocket_listening": true, "sync_active": true},
    "timestamp": 1703001600, "latency": null, "public_key": "18a5b7c3d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a",
            "url": "ws://relay-1.example.com:8090", "link": "own", "last_block": 822000, "software_version": "0.1.0"
})))]
pub struct RelayDetails {
    /// Name of the relay.
    pub relay_id: String,
    /// As in the list.
    #[schema(required)]
    pub address: Option<String>,
    /// API version that the relay supports.
    pub version: String,
    /// Seconds since its start.
    #[schema(required)]
    pub uptime: Option<u64>,
    /// Health of the relay; see `RelayHealth`.
    #[schema(required)]
    pub health: Option<RelayHealth>,
    /// Unix second of its last message.
    pub last_seen: u64,
    /// What the relay offers.
    pub capabilities: Vec<String>,
    /// Its WebSocket connections.
    #[schema(required)]
    pub connections: Option<u64>,
    /// Sync counters that the relay reports.
    pub metrics: RelayMetricsDetails,
    /// Configuration of the relay.
    pub configuration: RelayConfiguration,
    /// State of the parts of the relay.
    pub status: RelayParts,
    /// Unix seconds.
    pub timestamp: u64,
    /// Round-trip time over the link in milliseconds; `null` without a link.
    #[serde(default)]
    #[schema(required)]
    pub latency: Option<f64>,
    /// Key that the relay has proven, or that signed its entry, 32 bytes in hex.
    #[serde(default)]
    #[schema(required)]
    pub public_key: Option<String>,
    /// The WebSocket URL of `address`.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// How this relay knows it.
    pub link: Link,
    /// Height up to which the relay logs events.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// Version of its program.
    #[schema(required)]
    pub software_version: Option<String>,
}

/// Sync counters of a relay since its start, including failures.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayMetricsDetails {
    /// Requests received and sent.
    #[schema(required)]
    pub sync_requests: Option<u64>,
    /// Responses received and sent.
    #[schema(required)]
    pub sync_responses: Option<u64>,
    /// Mean time to a response, in milliseconds; `null` before the first sync.
    #[schema(required)]
    pub avg_latency: Option<f64>,
    /// Failed syncs.
    #[schema(required)]
    pub error_count: Option<u64>,
    /// Percentage of syncs that did not fail; `null` before the first sync.
    #[schema(required)]
    pub success_rate: Option<f64>,
}

/// Configuration of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayConfiguration {
    /// Bitcoin network.
    #[schema(required)]
    pub network: Option<String>,
    /// Whether `/dev/*` is available.
    #[schema(required)]
    pub dev_mode: Option<bool>,
    /// Seconds between two `StateSync` of the relay.
    #[schema(required)]
    pub sync_interval: Option<u64>,
}

/// State of the parts of a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayParts {
    /// Whether its node answers.
    #[schema(required)]
    pub bitcoin_connected: Option<bool>,
    /// Whether its BlindBit Oracle is connected; without an Oracle, whether its index is not failing.
    #[schema(required)]
    pub blindbit_connected: Option<bool>,
    /// Whether its WebSocket port is open.
    #[schema(required)]
    pub websocket_listening: Option<bool>,
    /// Whether it syncs with other relays.
    #[schema(required)]
    pub sync_active: Option<bool>,
}
