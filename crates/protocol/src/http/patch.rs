//! `PUT /config`: the shape of its body. The relay reads it key by key, so that each wrong one is named; this type is for the API's description.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Any part of what `GET /config` shows. `null` takes a change back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"sync": {"interval": 60, "health_interval": 120}, "dev_mode": true})))]
pub struct ConfigPatch {
    /// Where the WebSocket API listens, `IP:PORT`; after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$",
        examples("0.0.0.0:8090")
    )]
    pub ws_url: Option<String>,
    /// Where the HTTP API listens, `IP:PORT`; after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$",
        examples("0.0.0.0:8091")
    )]
    pub http_url: Option<String>,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bitcoin_core: Option<BitcoinCorePatch>,
    /// The BlindBit Oracle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub blindbit: Option<BlindbitPatch>,
    /// Intervals of the topics; at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sync: Option<SyncPatch>,
    /// Whether `/dev/*` is open; at once. Not on mainnet and testnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_mode: Option<bool>,
    /// Whether the relay runs on its embedded chain; after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone: Option<bool>,
}

/// The node; after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BitcoinCorePatch {
    /// RPC address, without user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^http://[^@]+$|^$", examples("http://127.0.0.1:8332"))]
    pub url: Option<String>,
    /// Name of the node's wallet; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// ZMQ address; empty for polling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^tcp://.+:[0-9]{1,5}$|^$", examples("tcp://127.0.0.1:28332"))]
    pub zmq_url: Option<String>,
}

/// The BlindBit Oracle; after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlindbitPatch {
    /// Empty: the relay computes its own tweaks. This version knows nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 0)]
    pub url: Option<String>,
}

/// Seconds between two messages of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncPatch {
    /// Topic `sync`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub interval: Option<u64>,
    /// Topic `health`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub health_interval: Option<u64>,
    /// Topic `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub metrics_interval: Option<u64>,
}
