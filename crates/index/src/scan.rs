//! Scans a range of the index.

use rayon::prelude::*;
use sdk_relay_bip352::{EligibleTx, Match, Prepared, Receiver, Scanner, Search, StoredRow, wipe_stack_below};
use sdk_relay_chain::BlockRef;
use sdk_relay_store::index::IndexedBlock;

/// A transaction of the index that pays a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// Its block.
    pub at: BlockRef,
    /// The block's time, Unix seconds.
    pub time: u32,
    /// The transaction.
    pub eligible: EligibleTx,
    /// In satoshis; `None` if unknown.
    pub fee: Option<u64>,
    /// Serialised size in bytes, witness included.
    pub size: u32,
    /// The outputs, never empty.
    pub matches: Vec<Match>,
}

/// For each receiver, its payments in the blocks, in chain order. Every row is decompressed once for all receivers; the
/// work is split into `threads` pieces, which run in parallel if this is called on a thread of a [`crate::Pool`].
pub fn scan(scanner: &Scanner, receivers: &[&Prepared], blocks: &[IndexedBlock], threads: usize) -> Vec<Vec<Paid>> {
    let scanned = scan_within(scanner, receivers, blocks, threads, u64::MAX);
    scanned.into_iter().map(|scanned| scanned.paid).collect()
}

/// Result for one receiver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scanned {
    /// In chain order.
    pub paid: Vec<Paid>,
    /// The first block that is not completely scanned; `None` if all are.
    pub unfinished: Option<u32>,
}

/// The same, with a bound (in units of [`Search::spent`]) for the search within matching transactions, which can cost
/// far more than finding them. Beyond it, whole blocks are left unscanned, except the first block with payments of the
/// first receiver.
pub fn scan_within(
    scanner: &Scanner,
    receivers: &[&Prepared],
    blocks: &[IndexedBlock],
    threads: usize,
    most: u64,
) -> Vec<Scanned> {
    let rows: Vec<_> = blocks
        .iter()
        .flat_map(|b| b.transactions.iter().map(move |tx| (b, tx)))
        .collect();
    let piece = rows.len().div_ceil(threads.max(1)).max(scanner.preferred_batch());
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
            let pairs = scanner.scan_stored(receivers, &stored);
            pairs
                .into_iter()
                .map(move |(row, receiver)| (n * piece + row, receiver))
        })
        .collect();
    let mut found: Vec<Scanned> = receivers.iter().map(|_| Scanned::default()).collect();
    let (mut spent, mut first_of_first) = (0_u64, None);
    for (row, receiver) in pairs {
        let (Some((block, tx)), Some(keys), Some(found)) =
            (rows.get(row), receivers.get(receiver), found.get_mut(receiver))
        else {
            continue;
        };
        let is_first = receiver == 0 && *first_of_first.get_or_insert(block.height) == block.height;
        if spent > most && !is_first && found.unfinished.is_none() {
            found.unfinished = Some(block.height);
            found.paid.retain(|paid| paid.at.height < block.height);
        }
        let Some(eligible) = tx.eligible().filter(|_| found.unfinished.is_none()) else {
            continue;
        };
        let (matches, cost) = search(keys, &eligible);
        wipe_stack_below();
        spent = spent.saturating_add(cost);
        if matches.is_empty() {
            continue;
        }
        found.paid.push(Paid {
            at: BlockRef {
                height: block.height,
                hash: block.hash,
            },
            time: block.time,
            fee: tx.fee,
            size: tx.size,
            matches,
            eligible,
        });
    }
    found
}

/// All payments of the transaction to the receiver, and the cost of finding them. Not inlined: the caller zeroises the
/// stack below its frame.
#[inline(never)]
fn search(keys: &Receiver, eligible: &EligibleTx) -> (Vec<Match>, u64) {
    let mut search = Search::new(keys, eligible);
    (search.advance(keys, eligible, u64::MAX), search.spent())
}
