//! A block as the index keeps it, its tweaks computed on all threads of the pool.

use rayon::prelude::*;
use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_store::index::IndexedBlock;

/// Transactions of one piece of work at least: a block is one piece for each thread, and fewer would leave the engine's
/// batches half empty.
const PIECE: usize = 256;

/// What the index keeps of a block. On a thread of a [`crate::Pool`] all of its threads share the work.
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
