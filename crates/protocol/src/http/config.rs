//! `GET /config`: what the relay runs with. No secret is ever in it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The configuration as anybody may see it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "relay_id": "relay-1", "network": "signet", "ws_url": "0.0.0.0:8090", "http_url": "0.0.0.0:8091",
    "bitcoin_core": {"url": "http://bitcoin:38332", "wallet": "relay_wallet", "zmq_url": "tcp://bitcoin:29000"},
    "blindbit": {"url": ""},
    "sync": {"interval": 30, "health_interval": 60, "metrics_interval": 120},
    "dev_mode": true, "standalone": false, "timestamp": 1703001600,
    "silent_payment_address": "tsp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc3wk4yh",
    "software_version": "0.1.0", "restart_required": false
})))]
pub struct ConfigView {
    /// This relay's name.
    pub relay_id: String,
    /// `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// Where the WebSocket API listens.
    pub ws_url: String,
    /// Where the HTTP API listens.
    pub http_url: String,
    /// The node.
    pub bitcoin_core: BitcoinCoreConfig,
    /// The BlindBit Oracle that tweaks come from.
    pub blindbit: BlindbitConfig,
    /// Intervals of the topics.
    pub sync: SyncConfig,
    /// Whether `/dev/*` is open.
    pub dev_mode: bool,
    /// Whether the relay runs on its embedded chain.
    pub standalone: bool,
    /// Unix seconds.
    pub timestamp: u64,
    /// The relay's own silent-payment address.
    pub silent_payment_address: String,
    /// The program's own version.
    pub software_version: String,
    /// Whether something of this takes effect only after `POST /restart`.
    pub restart_required: bool,
}

/// The node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BitcoinCoreConfig {
    /// RPC address.
    pub url: String,
    /// Name of the node's wallet; empty for none.
    pub wallet: String,
    /// ZMQ address; empty for polling.
    pub zmq_url: String,
}

/// The BlindBit Oracle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BlindbitConfig {
    /// Empty: the relay computes its own tweaks.
    pub url: String,
}

/// Seconds between two messages of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SyncConfig {
    /// Topic `sync`.
    pub interval: u64,
    /// Topic `health`.
    pub health_interval: u64,
    /// Topic `metrics`.
    pub metrics_interval: u64,
}

/// Answer to `PUT /config`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "updated",
    "changes": ["sync.interval: 30 -> 60", "sync.health_interval: 60 -> 120", "dev_mode: true -> false"],
    "timestamp": 1703001600, "restart_required": false, "warnings": []
})))]
pub struct ConfigChanged {
    /// `updated`.
    pub status: String,
    /// A line for each key whose value is another now: `sync.interval: 30 -> 60`.
    pub changes: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Whether something takes effect only after `POST /restart`.
    pub restart_required: bool,
    /// What the operator has to do besides: credentials of the configuration are not sent to a node's address that was changed here.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Answer to `POST /restart`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "status": "restarting", "timestamp": 1703001600, "estimated_duration": "5s", "restart_id": "restart-6581bd80"
})))]
pub struct RestartResponse {
    /// `restarting`.
    pub status: String,
    /// Unix seconds.
    pub timestamp: u64,
    /// At most this long clients get to let go; serving again takes a fraction of a second more.
    pub estimated_duration: String,
    /// Name of this restart, for the log.
    pub restart_id: String,
}
