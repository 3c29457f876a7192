//! `GET /fees`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /fees`: fee rates in satoshis per virtual byte, exact to a thousandth.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "estimates": [
        {"blocks": 1, "sat_per_vbyte": 12.5}, {"blocks": 2, "sat_per_vbyte": 12.5}, {"blocks": 3, "sat_per_vbyte": 10.012},
        {"blocks": 4, "sat_per_vbyte": 9.1}, {"blocks": 5, "sat_per_vbyte": 8.0}, {"blocks": 10, "sat_per_vbyte": 4.2},
        {"blocks": 25, "sat_per_vbyte": 2.0}, {"blocks": 50, "sat_per_vbyte": null}
    ],
    "mempool_minimum": 1.0, "relay_minimum": 1.0, "timestamp": 1703001600
})))]
pub struct Fees {
    /// Estimates for 1, 2, 3, 4, 5, 10, 25 and 50 blocks.
    pub estimates: Vec<FeeEstimate>,
    /// Least rate that enters the node's mempool now (`mempoolminfee`): above `relay_minimum` while the mempool is
    /// full.
    pub mempool_minimum: f64,
    /// Least rate that the node relays (`minrelaytxfee`).
    pub relay_minimum: f64,
    /// When the node gave these figures, in Unix seconds: at most 10 s ago.
    pub timestamp: u64,
}

/// An estimate of the node (`estimatesmartfee`).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct FeeEstimate {
    /// The transaction is likely to be in one of so many next blocks.
    pub blocks: u16,
    /// `null` while the node has observed too few transactions.
    #[schema(required)]
    pub sat_per_vbyte: Option<f64>,
}
