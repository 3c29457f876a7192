//! `POST /tx` and `GET /tx/{txid}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /tx`: one transaction, or a package of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"hex": "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"})))]
pub struct TxRequest {
    /// The signed transaction in hex. Required without `package`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hex: Option<String>,
    /// Signed transactions in hex that are accepted by the fee of all: parents first, then the child that spends them
    /// (`submitpackage`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, min_items = 2, max_items = 25)]
    pub package: Option<Vec<String>>,
}

/// Answer to `POST /tx`: the node has accepted the transaction, or all of the package, and broadcasts it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "txid": "e36bb5f1a4e1c2bd2d7f4be23bd1a5b9d3a0d6a7f9c0e1b2c3d4e5f60718293a", "timestamp": 1703001600
})))]
pub struct TxResponse {
    /// Id of the transaction; of a package that of its last one.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Of a package only: the ids of its transactions, in the order of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub txids: Option<Vec<String>>,
    /// Of a package only: ids of transactions that it has replaced in the mempool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub replaced: Option<Vec<String>>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `GET /tx/{txid}`: a transaction of the mempool or of the best chain, or one that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "txid": "e36bb5f1a4e1c2bd2d7f4be23bd1a5b9d3a0d6a7f9c0e1b2c3d4e5f60718293a", "status": "confirmed", "confirmations": 3,
    "block_height": 120, "block_hash": "509f3e2c5f7d2a4f0b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f60718", "fee": "0.00000318",
    "fee_sats": 318, "size": 205, "vsize": 154, "replaced_by": null, "hex": "0200…", "timestamp": 1703001600
})))]
pub struct TxDetails {
    /// Id of the transaction.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Where it is.
    pub status: TxStatus,
    /// 0 in the mempool, and for one that was replaced.
    pub confirmations: u32,
    /// Height of its block.
    #[schema(required)]
    pub block_height: Option<u32>,
    /// Hash of its block.
    #[schema(required)]
    pub block_hash: Option<String>,
    /// Fee in BTC; `null` where it is not known, and for a coinbase.
    #[schema(required)]
    pub fee: Option<String>,
    /// The same in satoshis.
    #[schema(required)]
    pub fee_sats: Option<u64>,
    /// Serialised size in bytes, with witnesses; `null` for one that was replaced.
    #[schema(required)]
    pub size: Option<u64>,
    /// Virtual size (BIP141), the unit of fee rates; `null` for one that was replaced.
    #[schema(required)]
    pub vsize: Option<u64>,
    /// The transaction that has replaced it in the mempool.
    #[schema(required)]
    pub replaced_by: Option<String>,
    /// The transaction in hex; `null` for one that was replaced.
    #[schema(required)]
    pub hex: Option<String>,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TxStatus {
    /// In the mempool of the node.
    Mempool,
    /// In a block of the best chain.
    Confirmed,
    /// In neither: another transaction has replaced it.
    Replaced,
}
