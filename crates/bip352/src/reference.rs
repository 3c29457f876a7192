//! The reference engine: one pair of receiver and row at a time over libsecp256k1, with a constant-time multiplication
//! by the scan key.
//!
//! A pair without a match costs 50 to 80 µs of one core: a multiplication by the scan key (40 µs), one by t_0 (27 µs),
//! and an addition for each label. It needs no tables and cannot fail: these functions take over when another engine
//! fails.

use bitcoin::secp256k1::PublicKey;

use crate::batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
use crate::input::{EligibleTx, tweak};
use crate::scan::{pays, scan};

pub(crate) fn tweaks(txs: &[TxWithPrevouts<'_>]) -> Vec<Option<PublicKey>> {
    txs.iter().map(|(tx, prevouts)| tweak(tx, prevouts)).collect()
}

pub(crate) fn hits(receivers: &[&Prepared], rows: &[&EligibleTx]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (row, tx) in rows.iter().enumerate() {
        for (receiver, keys) in receivers.iter().enumerate() {
            let matches = scan(keys, tx);
            if !matches.is_empty() {
                hits.push(Hit { receiver, row, matches });
            }
        }
    }
    hits
}

pub(crate) fn suspects(receivers: &[&Prepared], rows: &[&EligibleTx]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (row, tx) in rows.iter().enumerate() {
        pairs.extend(paid(receivers, tx).map(|receiver| (row, receiver)));
    }
    pairs
}

pub(crate) fn scan_stored(receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (row, stored) in rows.iter().enumerate() {
        let Some(tx) = stored.parse() else { continue };
        pairs.extend(paid(receivers, &tx).map(|receiver| (row, receiver)));
    }
    pairs
}

/// The receivers with a payment in the transaction.
fn paid<'a>(receivers: &'a [&Prepared], tx: &'a EligibleTx) -> impl Iterator<Item = usize> + 'a {
    let paid = receivers.iter().enumerate().filter(|(_, keys)| pays(keys, tx));
    paid.map(|(receiver, _)| receiver)
}
