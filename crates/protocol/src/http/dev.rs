//! `POST /dev/mine` and `POST /dev/pay` (`dev_mode`; regtest, signet and standalone).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /dev/mine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"blocks": 1})))]
pub struct MineRequest {
    /// Number of blocks, 1 to 1000; default 1.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub blocks: Option<u32>,
}

/// Answer to `POST /dev/mine`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "blocks": ["5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"], "height": 120, "timestamp": 1703001600
})))]
pub struct MineResponse {
    /// Hashes of the new blocks, lowest first.
    pub blocks: Vec<String>,
    /// Height of the last new block.
    pub height: u32,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `POST /dev/pay`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "address": "sprt1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xcrdz399",
    "amount": "0.001"
})))]
pub struct PayRequest {
    /// Silent-payment address, or any other address of the network.
    pub address: String,
    /// Amount in BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
}

/// Answer to `POST /dev/pay`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "txid": "e36bb5f1a4e1c2bd2d7f4be23bd1a5b9d3a0d6a7f9c0e1b2c3d4e5f60718293a",
    "address": "sprt1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xcrdz399",
    "amount": "0.001", "amount_sats": 100000, "timestamp": 1703001600
})))]
pub struct PayResponse {
    /// Transaction that pays the address. It is in the mempool.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Address that was paid.
    pub address: String,
    /// Amount in BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
    /// `amount` in satoshis.
    pub amount_sats: u64,
    /// Unix seconds.
    pub timestamp: u64,
}
