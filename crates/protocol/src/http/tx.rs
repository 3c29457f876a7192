//! `POST /tx`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /tx`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TxRequest {
    /// The signed transaction in hex.
    pub hex: String,
}

/// Answer to `POST /tx`: the node has it and passes it on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TxResponse {
    /// Its txid.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub txid: String,
    /// Unix seconds.
    pub timestamp: u64,
}
