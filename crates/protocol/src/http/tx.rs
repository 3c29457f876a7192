//! `POST /tx`.

use serde::{Deserialize, Serialize};

/// `POST /tx`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TxRequest {
    /// The signed transaction in hex.
    pub hex: String,
}

/// Answer to `POST /tx`: the node has it and passes it on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TxResponse {
    /// Its txid.
    pub txid: String,
    /// Unix seconds.
    pub timestamp: u64,
}
