//! `GET /health`, `/health/live`, `/health/ready`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /health`: 200 with `healthy` or `degraded`, 503 with `critical`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "healthy", "uptime": 3600, "version": "1.0.0", "timestamp": 1703001600,
    "services": {"bitcoin_core": "connected", "blindbit": "own_index", "websocket": "listening", "sync_manager": "active"},
    "checks": {"bitcoin_rpc": true, "blindbit_api": true, "websocket_server": true, "sync_manager": true},
    "software_version": "0.1.0", "problems": [],
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
    /// Each service in a word.
    pub services: Services,
    /// Each check as yes or no.
    pub checks: Checks,
    /// The program's own version.
    pub software_version: String,
    /// What is wrong, in a sentence each; empty when healthy.
    pub problems: Vec<String>,
    /// The tweak index; `null` where the relay keeps none (`index.enabled`).
    #[schema(required)]
    pub index: Option<IndexHealth>,
}

/// How far the tweak index is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct IndexHealth {
    /// `starting`, `building`, `current` or `failing`.
    pub state: String,
    /// The lowest block that it has, or will have.
    pub first_height: u32,
    /// The newest block that it has.
    #[schema(required)]
    pub height: Option<u32>,
    /// The node's tip when it was last asked.
    #[schema(required)]
    pub target: Option<u32>,
    /// From 0.0 to 1.0.
    pub progress: f64,
    /// Why it cannot go on for now.
    #[schema(required)]
    pub error: Option<String>,
}

/// Each service in a word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Services {
    /// `connected`, `syncing` or `disconnected`.
    pub bitcoin_core: String,
    /// Where the index's tweaks come from: `own_index` (computed by this relay), or how the BlindBit Oracle of `blindbit.url` is, with
    /// which they are compared: `connected`, `disconnected`, `behind` (it lacks blocks), or `implausible` (it is wrong of one block after the other).
    pub blindbit: String,
    /// `listening`.
    pub websocket: String,
    /// `active` while syncs are answered and reports are made.
    pub sync_manager: String,
}

/// Each check as yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Checks {
    /// The node answers.
    pub bitcoin_rpc: bool,
    /// The source of the index's tweaks answers, and says what can be.
    pub blindbit_api: bool,
    /// The WebSocket port is open.
    pub websocket_server: bool,
    /// Syncs are answered.
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

/// `GET /health/ready`: 200 when the relay follows the tip, 503 with the reason when not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({"status": "ready", "reason": null, "timestamp": 1703001600})))]
pub struct Ready {
    /// `ready` or `not_ready`.
    pub status: String,
    /// What it waits for.
    #[schema(required)]
    pub reason: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}
