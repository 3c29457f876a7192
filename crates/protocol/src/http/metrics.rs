//! `GET /metrics` as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Metrics as JSON. The texts for Prometheus have the same figures, and more.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "sync_metrics": {
        "known_relays": 3, "mesh_connections": 6, "sync_requests": 150, "sync_responses": 150, "cache_hits": 120,
        "cache_misses": 30, "avg_latency": 45.2, "error_count": 0, "success_rate": 98.67
    },
    "system_metrics": {
        "memory_usage": "128MB", "cpu_usage": "5%", "active_connections": 10, "total_requests": 1000, "uptime": 3600,
        "memory_bytes": 128000000, "cpu_percent": 5.0, "disk_usage": "2GB", "disk_bytes": 2000000000
    },
    "bitcoin_metrics": {"block_height": 822000, "connections": 8, "mempool_size": 150, "verification_progress": 0.9999},
    "timestamp": 1703001600,
    "relay_metrics": {
        "last_event_id": 17, "tip_height": 822000, "watches": 2, "watch_payments_detected": 3,
        "watch_messages_received": 2, "watch_messages_sent": 5, "payments_detected": 2, "payments_reverted": 0,
        "blocks_connected": 12, "blocks_disconnected": 0, "transactions_scanned": 40000, "notifications_sent": 170,
        "slow_clients_cut": 0, "health": "healthy", "ready": true, "event_source": "zmq"
    }
})))]
pub struct Metrics {
    /// Syncs and the mesh.
    pub sync_metrics: SyncMetrics,
    /// The process.
    pub system_metrics: SystemMetrics,
    /// The Bitcoin node.
    pub bitcoin_metrics: BitcoinMetrics,
    /// Unix seconds.
    pub timestamp: u64,
    /// Work of the relay since its start.
    pub relay_metrics: RelayMetrics,
}

/// Syncs and the mesh.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SyncMetrics {
    /// Known relays, including this one.
    pub known_relays: u64,
    /// Current links to other relays.
    pub mesh_connections: u64,
    /// `sync` requests received and sent.
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
}

/// The process.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct SystemMetrics {
    /// Resident memory, `"128MB"`.
    #[schema(required)]
    pub memory_usage: Option<String>,
    /// Processor time since the last measurement, as a share of one processor, `"5%"`.
    #[schema(required)]
    pub cpu_usage: Option<String>,
    /// Current WebSocket connections.
    pub active_connections: u64,
    /// HTTP requests and WebSocket messages received since the start, without messages about watches.
    pub total_requests: u64,
    /// Seconds since the start.
    pub uptime: u64,
    /// `memory_usage` in bytes.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// `cpu_usage` in percent.
    #[schema(required)]
    pub cpu_percent: Option<f64>,
    /// Size of the data directory, `"2GB"`.
    #[schema(required)]
    pub disk_usage: Option<String>,
    /// `disk_usage` in bytes.
    #[schema(required)]
    pub disk_bytes: Option<u64>,
}

/// Figures of the node from its last answer; `null` before the first.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct BitcoinMetrics {
    /// Height of its best block.
    #[schema(required)]
    pub block_height: Option<u64>,
    /// Number of peers.
    #[schema(required)]
    pub connections: Option<u64>,
    /// Number of transactions in its mempool.
    #[schema(required)]
    pub mempool_size: Option<u64>,
    /// Progress of verification, 0 to 1.
    #[schema(required)]
    pub verification_progress: Option<f64>,
}

/// Work of the relay since its start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayMetrics {
    /// Newest `event_id` in the log.
    pub last_event_id: u64,
    /// Height up to which events are logged.
    #[schema(required)]
    pub tip_height: Option<u32>,
    /// Current watches. All counts about watches are only present for an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watches: Option<u64>,
    /// Payments sent to watches, in the mempool and in blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_payments_detected: Option<u64>,
    /// Messages about watches received from clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_messages_received: Option<u64>,
    /// Messages about watches sent to clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_messages_sent: Option<u64>,
    /// Payments to the relay's own wallets, in the mempool and in blocks.
    pub payments_detected: u64,
    /// Payments to the relay's own wallets that were reverted.
    pub payments_reverted: u64,
    /// Blocks connected.
    pub blocks_connected: u64,
    /// Blocks disconnected.
    pub blocks_disconnected: u64,
    /// Transactions scanned, in blocks and in the mempool.
    pub transactions_scanned: u64,
    /// Events of the log sent to clients.
    pub notifications_sent: u64,
    /// Accepted connections that were closed with 1013.
    pub slow_clients_cut: u64,
    /// `status` of `GET /health`: `healthy`, `degraded` or `critical`.
    pub health: String,
    /// Whether `GET /health/ready` answers 200.
    pub ready: bool,
    /// `event_source` of `GET /health`: `zmq`, `zmq without sequence`, `polling` or `embedded`.
    pub event_source: String,
}
