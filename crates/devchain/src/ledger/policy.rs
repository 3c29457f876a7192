//! Context-free checks of a transaction, and relay limits (defaults of Bitcoin Core).

use bitcoin::{Amount, Transaction};

use super::accept::Rejection;

/// Least fee in satoshis per virtual byte (`-minrelaytxfee`).
pub(crate) const MIN_RELAY_FEE: u64 = 1;
/// Additional fee of a replacement, in satoshis per virtual byte (`-incrementalrelayfee`).
pub(crate) const INCREMENTAL_FEE: u64 = 1;
/// Largest virtual size of the mempool; bounds its memory.
pub(crate) const MAX_MEMPOOL: u64 = 20_000_000;
/// Largest number of transactions that one replacement may evict (BIP125, rule 5).
pub(super) const MAX_REPLACED: usize = 100;
/// `MAX_STANDARD_TX_SIGOPS_COST`.
pub(super) const MAX_TX_SIGOPS: usize = 16_000;

/// `MAX_STANDARD_TX_WEIGHT`.
const MAX_TX_WEIGHT: u64 = 400_000;
/// Smaller transactions can be mistaken for inner nodes of a merkle tree (`MIN_STANDARD_TX_NONWITNESS_SIZE`).
const MIN_TX_SIZE: usize = 65;
/// Versions that nodes relay.
const VERSIONS: std::ops::RangeInclusive<i32> = 1..=3;

/// All checks that do not need the chain.
pub(super) fn check(tx: &Transaction) -> Result<(), Rejection> {
    if tx.is_coinbase() {
        return Err(Rejection::Coinbase);
    }
    if tx.input.is_empty() {
        return Err(Rejection::NoInputs);
    }
    if tx.output.is_empty() {
        return Err(Rejection::NoOutputs);
    }
    let mut inputs: Vec<_> = tx.input.iter().map(|input| input.previous_output).collect();
    inputs.sort_unstable();
    if inputs.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(Rejection::DuplicateInputs);
    }
    if inputs.iter().any(bitcoin::OutPoint::is_null) {
        return Err(Rejection::NullInput);
    }
    if tx.output.iter().any(|output| output.value > Amount::MAX_MONEY) {
        return Err(Rejection::OutputTooLarge);
    }
    let total = tx
        .output
        .iter()
        .try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
    if total.is_none_or(|total| total > Amount::MAX_MONEY) {
        return Err(Rejection::OutputsTooLarge);
    }
    if !VERSIONS.contains(&tx.version.0) {
        return Err(Rejection::Version);
    }
    if tx.weight().to_wu() > MAX_TX_WEIGHT {
        return Err(Rejection::TooBig);
    }
    if tx.base_size() < MIN_TX_SIZE {
        return Err(Rejection::TooSmall);
    }
    if tx
        .output
        .iter()
        .any(|output| output.value < output.script_pubkey.minimal_non_dust())
    {
        return Err(Rejection::Dust);
    }
    Ok(())
}
