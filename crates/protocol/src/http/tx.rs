//! `POST /tx`.

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
