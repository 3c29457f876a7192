//! `GET /relays` and `GET /relays/{relay_id}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a relay feels, as the lists of relays say it. `degraded` of `/health` is `warning` here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayHealth {
    /// All is well.
    Healthy,
    /// Something is amiss; what can be served is served.
    Warning,
    /// Nothing useful can be served.
    Critical,
}

impl RelayHealth {
    /// From the word of `/health`, of a `StateSync` or of a `HealthSync`.
    pub fn from_status(status: &str) -> Option<Self> {
        match status {
            "healthy" => Some(Self::Healthy),
            "degraded" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// How this relay knows a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It is the one that answers.
    Own,
    /// It connected to this one.
    Inbound,
    /// This one connected to it.
    Outbound,
    /// Other relays told of it; there is no link to it.
    Gossip,
}

/// `GET /relays`: this relay first, then those of its mesh, the nearest first.
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
    /// Those that match the filter, `limit` at most.
    pub relays: Vec<RelaySummary>,
    /// All that match the filter, not only the listed ones.
    pub total: u64,
    /// Of these, the healthy ones.
    pub healthy: u64,
    /// Of these, those with `warning`.
    pub warning: u64,
    /// Of these, the critical ones.
    pub critical: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// A relay in the list. What another relay has not told is `null`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelaySummary {
    /// Its name.
    pub relay_id: String,
    /// `HOST:PORT` of its WebSocket API, as it advertises it; `null` where it cannot be reached from elsewhere, or this relay would not dial it.
    #[schema(required)]
    pub address: Option<String>,
    /// API version that it speaks.
    pub version: String,
    /// Seconds since its start.
    #[schema(required)]
    pub uptime: Option<u64>,
    /// As it told last.
    #[schema(required)]
    pub health: Option<RelayHealth>,
    /// Unix second of its last message.
    pub last_seen: u64,
    /// What it offers, or asked for in its handshake.
    pub capabilities: Vec<String>,
    /// Its WebSocket connections.
    #[schema(required)]
    pub connections: Option<u64>,
    /// Its own count of syncs.
    pub metrics: RelaySyncs,
    /// Round trip over the link in milliseconds; `null` without one.
    #[serde(default)]
    #[schema(required)]
    pub latency: Option<f64>,
    /// The key that it has proven, 32 bytes in hex; `null` where it has not.
    #[serde(default)]
    #[schema(required)]
    pub public_key: Option<String>,
    /// The WebSocket URL of `address`.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// How it is known.
    pub link: Link,
    /// Height up to which it logs events.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// Its program's own version.
    #[schema(required)]
    pub software_version: Option<String>,
}

/// A relay's own count of syncs, since its start.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelaySyncs {
    /// Requests received and sent.
    #[schema(required)]
    pub sync_requests: Option<u64>,
    /// Responses received and sent.
    #[schema(required)]
    pub sync_responses: Option<u64>,
    /// Milliseconds; `null` before the first.
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
    /// Its name.
    pub relay_id: String,
    /// As in the list.
    #[schema(required)]
    pub address: Option<String>,
    /// API version that it speaks.
    pub version: String,
    /// Seconds since its start.
    #[schema(required)]
    pub uptime: Option<u64>,
    /// As it told last.
    #[schema(required)]
    pub health: Option<RelayHealth>,
    /// Unix second of its last message.
    pub last_seen: u64,
    /// What it offers, or asked for in its handshake.
    pub capabilities: Vec<String>,
    /// Its WebSocket connections.
    #[schema(required)]
    pub connections: Option<u64>,
    /// Its own count of syncs.
    pub metrics: RelayMetricsDetails,
    /// What it runs with.
    pub configuration: RelayConfiguration,
    /// Each of its parts as yes or no.
    pub status: RelayParts,
    /// Unix seconds.
    pub timestamp: u64,
    /// Round trip over the link in milliseconds; `null` without one.
    #[serde(default)]
    #[schema(required)]
    pub latency: Option<f64>,
    /// The key that it has proven, 32 bytes in hex; `null` where it has not.
    #[serde(default)]
    #[schema(required)]
    pub public_key: Option<String>,
    /// The WebSocket URL of `address`.
    #[serde(default)]
    #[schema(required)]
    pub url: Option<String>,
    /// How it is known.
    pub link: Link,
    /// Height up to which it logs events.
    #[schema(required)]
    pub last_block: Option<u32>,
    /// Its program's own version.
    #[schema(required)]
    pub software_version: Option<String>,
}

/// A relay's own count of syncs, with those that failed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct RelayMetricsDetails {
    /// Requests received and sent.
    #[schema(required)]
    pub sync_requests: Option<u64>,
    /// Responses received and sent.
    #[schema(required)]
    pub sync_responses: Option<u64>,
    /// Milliseconds; `null` before the first.
    #[schema(required)]
    pub avg_latency: Option<f64>,
    /// Syncs that failed.
    #[schema(required)]
    pub error_count: Option<u64>,
    /// Percent; `null` before the first.
    #[schema(required)]
    pub success_rate: Option<f64>,
}

/// What a relay runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayConfiguration {
    /// Bitcoin network.
    #[schema(required)]
    pub network: Option<String>,
    /// Whether `/dev/*` is open.
    #[schema(required)]
    pub dev_mode: Option<bool>,
    /// Seconds between two of its `StateSync`.
    #[schema(required)]
    pub sync_interval: Option<u64>,
}

/// Each part of a relay as yes or no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayParts {
    /// Its node answers.
    #[schema(required)]
    pub bitcoin_connected: Option<bool>,
    /// Its source of tweaks answers.
    #[schema(required)]
    pub blindbit_connected: Option<bool>,
    /// Its WebSocket port is open.
    #[schema(required)]
    pub websocket_listening: Option<bool>,
    /// It takes part in syncs.
    #[schema(required)]
    pub sync_active: Option<bool>,
}
