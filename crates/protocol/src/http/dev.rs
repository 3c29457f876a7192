//! `POST /dev/mine`, `POST /dev/pay` (`dev_mode`; regtest, signet and standalone).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /dev/mine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MineRequest {
    /// How many blocks, 1 to 1000; 1 when left out.
    #[serde(default)]
    pub blocks: Option<u32>,
}

/// Answer to `POST /dev/mine`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MineResponse {
    /// Hashes of the new blocks, lowest first.
    pub blocks: Vec<String>,
    /// Height of the last one.
    pub height: u32,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `POST /dev/pay`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    /// A silent-payment address, or any other address of the network.
    pub address: String,
    /// BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
}

/// Answer to `POST /dev/pay`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PayResponse {
    /// The transaction that pays, in the mempool now.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// As asked.
    pub address: String,
    /// BTC.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,8})?$")]
    pub amount: String,
    /// Satoshis.
    pub amount_sats: u64,
    /// Unix seconds.
    pub timestamp: u64,
}
