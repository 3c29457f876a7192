//! `GET /config`: the configuration, without secrets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The configuration, without secrets.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "relay_id": "relay-1", "network": "signet", "ws_url": "0.0.0.0:8090", "http_url": "0.0.0.0:8091",
    "bitcoin_core": {"url": "http://bitcoin:38332", "wallet": "relay_wallet", "zmq_url": "tcp://bitcoin:29000"},
    "blindbit": {"url": "", "grpc_listen": ""},
    "sync": {"interval": 30, "health_interval": 60, "metrics_interval": 120},
    "electrum": {"listen": "127.0.0.1:50001", "tls_listen": ""},
    "log": {"level": "info"},
    "dev_mode": true, "standalone": false, "timestamp": 1703001600,
    "silent_payment_address": "tsp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc3wk4yh",
    "software_version": "0.1.0", "restart_required": false
})))]
pub struct ConfigView {
    /// This relay's name.
    pub relay_id: String,
    /// `mainnet`, `testnet`, `testnet4`, `signet` or `regtest`.
    pub network: String,
    /// Listen address of the WebSocket API, `IP:PORT`.
    pub ws_url: String,
    /// Listen address of the HTTP API, `IP:PORT`.
    pub http_url: String,
    /// The Bitcoin node.
    pub bitcoin_core: BitcoinCoreConfig,
    /// The BlindBit Oracle with which the tweak index is compared, and BlindBit's gRPC interface.
    pub blindbit: BlindbitConfig,
    /// Intervals of the report topics.
    pub sync: SyncConfig,
    /// The Electrum protocol.
    #[serde(default)]
    pub electrum: ElectrumView,
    /// The log.
    pub log: LogConfig,
    /// Whether `/dev/*` is available.
    pub dev_mode: bool,
    /// Whether the relay runs on its embedded development chain.
    pub standalone: bool,
    /// Unix seconds.
    pub timestamp: u64,
    /// The relay's own silent-payment address; `null` for a relay without a wallet.
    #[schema(required)]
    pub silent_payment_address: Option<String>,
    /// Version of the program.
    pub software_version: String,
    /// Whether a change takes effect only after `POST /restart`.
    pub restart_required: bool,
}

/// The Bitcoin node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BitcoinCoreConfig {
    /// RPC address.
    pub url: String,
    /// Name of the node's wallet; empty if not configured.
    pub wallet: String,
    /// ZMQ address; empty if it is the one that the node reports, `off` if the relay polls.
    pub zmq_url: String,
}

/// The BlindBit Oracle with which the tweak index is compared, and BlindBit's gRPC interface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct BlindbitConfig {
    /// URL of the Oracle; empty if there is none. The relay computes all tweaks itself in either case.
    pub url: String,
    /// Listen address of the gRPC interface, `IP:PORT`; empty if it is off.
    #[serde(default)]
    pub grpc_listen: String,
}

/// The Electrum protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ElectrumView {
    /// Listen address without TLS, `IP:PORT`; empty if there is none.
    pub listen: String,
    /// Listen address with TLS, `IP:PORT`; empty if there is none.
    pub tls_listen: String,
}

/// Intervals between reports, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SyncConfig {
    /// Topic `sync`.
    pub interval: u64,
    /// Topic `health`.
    pub health_interval: u64,
    /// Topic `metrics`.
    pub metrics_interval: u64,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct LogConfig {
    /// Which lines the log has: a level, or directives such as `info,sdk_relay=debug`.
    pub level: String,
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
    /// One line for each key that changed: `sync.interval: 30 -> 60`.
    pub changes: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Whether a change takes effect only after `POST /restart`.
    pub restart_required: bool,
    /// What the operator must do in addition: the relay does not send configured credentials to a node address that
    /// was changed here.
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
    /// Maximum time for closing the clients, `"5s"`. The relay then serves again within a fraction of a second.
    pub estimated_duration: String,
    /// Id of this restart, as in the log.
    pub restart_id: String,
}
