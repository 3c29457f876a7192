//! `PUT /config`: schema of its body, for the API description. The relay parses the body key by key, so that the
//! error names each wrong key.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Any part of what `GET /config` shows. `null` reverts a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"sync": {"interval": 60, "health_interval": 120}, "dev_mode": true})))]
pub struct ConfigPatch {
    /// Listen address of the WebSocket API, `IP:PORT`. Takes effect after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$",
        examples("0.0.0.0:8090")
    )]
    pub ws_url: Option<String>,
    /// Listen address of the HTTP API, `IP:PORT`. Takes effect after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$",
        examples("0.0.0.0:8091")
    )]
    pub http_url: Option<String>,
    /// The Bitcoin node. Takes effect after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bitcoin_core: Option<BitcoinCorePatch>,
    /// The BlindBit Oracle with which the tweak index is compared. Takes effect after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub blindbit: Option<BlindbitPatch>,
    /// Intervals of the report topics. Takes effect immediately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sync: Option<SyncPatch>,
    /// Whether `/dev/*` is available. Takes effect immediately. Not allowed on mainnet and testnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_mode: Option<bool>,
    /// Whether the relay runs on its embedded development chain. Takes effect after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone: Option<bool>,
}

/// The Bitcoin node. Takes effect after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BitcoinCorePatch {
    /// RPC address, without a user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^http://[^@]+$|^$", examples("http://127.0.0.1:8332"))]
    pub url: Option<String>,
    /// Name of the node's wallet; empty if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// ZMQ address; empty to poll the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^tcp://.+:[0-9]{1,5}$|^$", examples("tcp://127.0.0.1:28332"))]
    pub zmq_url: Option<String>,
}

/// The BlindBit Oracle with which the tweak index is compared. Takes effect after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlindbitPatch {
    /// URL of the Oracle, `http://` or `https://`, without a user and password; empty if there is none. A standalone relay refuses any other value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = r"^https?://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9/_.-]*)?$|^$",
        examples("https://oracle.example.com")
    )]
    pub url: Option<String>,
}

/// Intervals between reports, in seconds.
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
