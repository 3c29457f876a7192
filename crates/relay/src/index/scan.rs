//! Scanning a stretch of the index.

use rayon::prelude::*;
use sdk_relay_bip352::{EligibleTx, Engine, Match, Receiver, StoredRow};
use sdk_relay_chain::BlockRef;
use sdk_relay_store::index::IndexedBlock;

/// Rows of one piece of work at least: engines do many at once.
const ROWS_PER_PIECE: usize = 512;

/// A transaction of the index that pays a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// Its block.
    pub at: BlockRef,
    /// The block's time, Unix seconds.
    pub time: u32,
    /// The transaction.
    pub eligible: EligibleTx,
    /// Satoshis; `None` where the index does not know.
    pub fee: Option<u64>,
    /// Serialised size in bytes, witness included.
    pub size: u32,
    /// The outputs, never empty.
    pub matches: Vec<Match>,
}

/// For each receiver what the blocks hold for it, in chain order. Every row is decompressed once for all of them; the work is shared among
/// `threads` pieces, which run side by side when this is called on a thread of a [`super::Pool`].
pub fn scan(engine: &dyn Engine, receivers: &[&Receiver], blocks: &[IndexedBlock], threads: usize) -> Vec<Vec<Paid>> {
    let rows: Vec<_> = blocks
        .iter()
        .flat_map(|b| b.transactions.iter().map(move |tx| (b, tx)))
        .collect();
    let piece = rows.len().div_ceil(threads.max(1)).max(ROWS_PER_PIECE);
    let pairs: Vec<(usize, usize)> = rows
        .par_chunks(piece)
        .enumerate()
        .flat_map_iter(|(n, rows)| {
            let stored: Vec<_> = rows
                .iter()
                .map(|(_, tx)| StoredRow {
                    tweak: &tx.tweak,
                    outputs: &tx.keys,
                })
                .collect();
            let pairs = engine.scan_stored(receivers, &stored);
            pairs
                .into_iter()
                .map(move |(row, receiver)| (n * piece + row, receiver))
        })
        .collect();
    let mut found: Vec<Vec<Paid>> = receivers.iter().map(|_| Vec::new()).collect();
    for (row, receiver) in pairs {
        let (Some((block, tx)), Some(keys), Some(found)) =
            (rows.get(row), receivers.get(receiver), found.get_mut(receiver))
        else {
            continue;
        };
        let Some(eligible) = tx.eligible() else { continue };
        let hits = engine.scan(&[keys], &[&eligible]);
        found.push(Paid {
            at: BlockRef {
                height: block.height,
                hash: block.hash,
            },
            time: block.time,
            fee: tx.fee,
            size: tx.size,
            matches: hits.into_iter().flat_map(|hit| hit.matches).collect(),
            eligible,
        });
    }
    found
}
