//! Answers of a BlindBit Oracle, versions 1 and 2, over HTTP: what wallets made for BlindBit read, and what a relay reads of an Oracle.
//!
//! The names, the nesting and the types are BlindBit's (`setavenger/blindbit-oracle`: the branch `v1`, and `internal/server/README.md` of
//! version 2); they are not this project's to change. All hashes and txids are in the order in which they are shown, bytes are hex.

mod v1;
mod v2;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use v1::{BlindbitBlockHash, BlindbitBlockHeight, BlindbitFilter, BlindbitSpentIndex, BlindbitUtxo, ForwardTx};
pub use v2::{
    BlindbitComputeIndex, BlindbitFullBlock, BlindbitOutputs, BlindbitSpentOutputs, BlindbitTweaks, BlockIdentifier,
    ComputeItem, FullTx, LightOutput, Output,
};

/// `GET info`, of both versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "network": "signet", "height": 834761, "tweaks_only": false, "tweaks_full_basic": true,
    "tweaks_full_with_dust_filter": true, "tweaks_cut_through_with_dust_filter": true
})))]
pub struct BlindbitInfo {
    /// `main`, `testnet`, `signet`, `regtest`; BlindBit has no name for `testnet4`, which is called that.
    pub network: String,
    /// The newest block that can be asked for.
    pub height: u32,
    /// Whether tweaks are all that can be asked for.
    pub tweaks_only: bool,
    /// Whether there are tweaks of all eligible transactions.
    pub tweaks_full_basic: bool,
    /// The same with a dust limit.
    pub tweaks_full_with_dust_filter: bool,
    /// Whether there are tweaks of the transactions that have something left to spend.
    pub tweaks_cut_through_with_dust_filter: bool,
}
