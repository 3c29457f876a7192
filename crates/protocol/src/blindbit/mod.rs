//! HTTP responses of a BlindBit Oracle, versions 1 and 2. The relay serves them to BlindBit wallets, and reads them
//! from an Oracle.
//!
//! Names, nesting and types are BlindBit's (`setavenger/blindbit-oracle`: the branch `v1`, and
//! `internal/server/README.md` of version 2), and must not change. Hashes and txids are in display order; bytes are
//! hex.

mod v1;
mod v2;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use v1::{BlindbitBlockHash, BlindbitBlockHeight, BlindbitFilter, BlindbitSpentIndex, BlindbitUtxo, ForwardTx};
pub use v2::{
    BlindbitComputeIndex, BlindbitFullBlock, BlindbitOutputs, BlindbitSpentOutputs, BlindbitTweaks, BlockIdentifier,
    ComputeItem, FullTx, LightOutput, Output,
};

/// `GET info`, in both versions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "network": "signet", "height": 834761, "tweaks_only": false, "tweaks_full_basic": true,
    "tweaks_full_with_dust_filter": true, "tweaks_cut_through_with_dust_filter": true
})))]
pub struct BlindbitInfo {
    /// `main`, `testnet`, `testnet4`, `signet` or `regtest`. BlindBit itself does not define `testnet4`.
    pub network: String,
    /// Height of the newest block in the index.
    pub height: u32,
    /// Whether only tweaks are available.
    pub tweaks_only: bool,
    /// Whether the tweaks of all eligible transactions are available.
    pub tweaks_full_basic: bool,
    /// Whether they can be filtered with a dust limit.
    pub tweaks_full_with_dust_filter: bool,
    /// Whether the tweaks of the transactions with unspent outputs (cut-through) are available, with a dust limit.
    pub tweaks_cut_through_with_dust_filter: bool,
}
