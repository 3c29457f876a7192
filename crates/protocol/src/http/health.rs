//! `GET /health`, `/health/live`, `/health/ready`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /health`: 200 with `healthy` or `degraded`, 503 with `critical`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "healthy", "uptime": 3600, "version": "1.0.0", "timestamp": 1703001600,
    "services": {"bitcoin_core": "connected", "blindbit": "own_index", "websocket": "listening", "sync_manager": "active"},
    "checks": {"bitcoin_rpc": true, "blindbit_api": true, "websocket_server": true, "sync_manager": true},
    "software_version": "0.1.0", "problems": [], "event_source": "zmq",
    "index": {"state": "building", "first_height": 709632, "height": 800000, "target": 870000, "progress": 0.563, "error": null}
})))]
pub struct Health {
    /// `healthy`, `degraded` or `critical`.
    pub status: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// API version.
    pub version: String,
    /// Unix seconds.
    pub timestamp: u64,
    /// State of each service.
    pub services: Services,
    /// Result of each check.
    pub checks: Checks,
    /// Version of the program.
    pub software_version: String,
    /// One sentence for each problem; empty if there is none.
    pub problems: Vec<String>,
    /// How changes of the chain and of the mempool reach the relay: `zmq` (the node announces every change), `zmq
    /// without sequence` (the node does not announce every change: it is polled too), `polling` (once a second) or
    /// `embedded` (the development chain).
    pub event_source: String,
    /// The tweak index; `null` without one (`index.enabled = false`).
    #[schema(required)]
    pub index: Option<IndexHealth>,
}

/// State of the tweak index.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct IndexHealth {
    /// `starting`, `building`, `current` or `failing`.
    pub state: String,
    /// Lowest block that the index has or will have.
    pub first_height: u32,
    /// Newest block in the index; `null` before the first.
    #[schema(required)]
    pub height: Option<u32>,
    /// Tip of the node, or its best header while it synchronises; `null` before the node has answered.
    #[schema(required)]
    pub target: Option<u32>,
    /// Progress of building the index, 0.0 to 1.0.
    pub progress: f64,
    /// Why the index cannot continue; `null` if it can.
    #[schema(required)]
    pub error: Option<String>,
}

/// State of each service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Services {
    /// `connected`, `syncing` or `disconnected`.
    pub bitcoin_core: String,
    /// `own_index` without an Oracle. With `blindbit.url`, the state of the BlindBit Oracle with which the index is
    /// compared: `connected`, `disconnected`, `behind` (it lacks blocks that this relay has) or `implausible` (it was
    /// wrong about eight blocks in a row). The relay computes all tweaks itself in each case.
    pub blindbit: String,
    /// Always `listening`: if the WebSocket server ends, the process ends.
    pub websocket: String,
    /// Always `active`: if syncing ends, the process ends.
    pub sync_manager: String,
}

/// Result of each check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Checks {
    /// The node answers.
    pub bitcoin_rpc: bool,
    /// The BlindBit Oracle is `connected`. Without an Oracle: the index is not `failing`.
    pub blindbit_api: bool,
    /// Always `true`: if the WebSocket server ends, the process ends.
    pub websocket_server: bool,
    /// Always `true`: if syncing ends, the process ends.
    pub sync_manager: bool,
}

/// `GET /health/live`: the process runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"status": "live", "timestamp": 1703001600})))]
pub struct Live {
    /// `live`.
    pub status: String,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `GET /health/ready`: 200 when the relay follows the tip and knows the mempool, otherwise 503 with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"status": "ready", "reason": null, "timestamp": 1703001600})))]
pub struct Ready {
    /// `ready` or `not_ready`.
    pub status: String,
    /// What the relay waits for; `null` when it is ready.
    #[schema(required)]
    pub reason: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}
