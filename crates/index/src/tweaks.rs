//! Computes the index entry of a block on all threads of the pool.

use rayon::prelude::*;
use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_store::index::IndexedBlock;

/// Smallest number of transactions in one piece of work: a block is split into one piece per thread, and smaller pieces
/// would not fill the batches of the engine.
const PIECE: usize = 256;

/// Index entry of a block. On a thread of a [`crate::Pool`], all of its threads share the work.
pub(crate) fn indexed(at: BlockRef, block: &BlockWithPrevouts, scanner: &Scanner) -> IndexedBlock {
    let BlockWithPrevouts { block, prevouts, .. } = block;
    let txs: Vec<_> = block.txdata.iter().zip(prevouts.iter().map(Vec::as_slice)).collect();
    let piece = txs.len().div_ceil(rayon::current_num_threads()).max(PIECE);
    let tweaks: Vec<_> = txs
        .par_chunks(piece)
        .flat_map_iter(|piece| scanner.tweaks(piece))
        .collect();
    let mut tweaks = tweaks.into_iter();
    IndexedBlock::with_tweaks(at.height, at.hash, block, prevouts, |_, _| tweaks.next().flatten())
}
