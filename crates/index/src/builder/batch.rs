//! Blocks waiting for a commit.

use std::time::{Duration, Instant};

use bitcoin::BlockHash;
use sdk_relay_platform::clock;
use sdk_relay_store::index::IndexedBlock;

/// A commit synchronises two files, so it is made after this many transactions, or a number of blocks, or a time.
const BATCH_TRANSACTIONS: usize = 50_000;
const BATCH_BLOCKS: usize = 100;
const BATCH_TIME: Duration = Duration::from_secs(2);

/// A block with its tweaks.
pub(super) struct Computed {
    pub(super) previous: BlockHash,
    /// Number of all transactions of the block, eligible or not.
    pub(super) transactions: usize,
    pub(super) block: IndexedBlock,
}

/// Blocks waiting for a commit.
pub(super) struct Batch {
    previous: Option<BlockHash>,
    last: Option<BlockHash>,
    blocks: Vec<IndexedBlock>,
    eligible: usize,
    transactions: usize,
    since: Instant,
}

impl Batch {
    pub(super) fn after(tip: Option<BlockHash>) -> Self {
        Self {
            previous: tip,
            last: tip,
            blocks: Vec::new(),
            eligible: 0,
            transactions: 0,
            since: clock::monotonic(),
        }
    }

    pub(super) fn follows(&self, previous: BlockHash) -> bool {
        self.last.is_none_or(|last| last == previous)
    }

    pub(super) fn push(&mut self, computed: Computed) {
        if self.blocks.is_empty() {
            self.previous = Some(computed.previous);
            self.since = clock::monotonic();
        }
        self.last = Some(computed.block.hash);
        self.eligible += computed.block.transactions.len();
        self.transactions += computed.transactions;
        self.blocks.push(computed.block);
    }

    pub(super) fn is_full(&self) -> bool {
        self.eligible >= BATCH_TRANSACTIONS || self.blocks.len() >= BATCH_BLOCKS || self.since.elapsed() >= BATCH_TIME
    }

    /// The parent of the first block, the blocks, and their number of transactions, eligible or not.
    pub(super) fn take(&mut self) -> Option<(BlockHash, Vec<IndexedBlock>, usize)> {
        if self.blocks.is_empty() {
            return None;
        }
        self.eligible = 0;
        let transactions = std::mem::take(&mut self.transactions);
        Some((self.previous?, std::mem::take(&mut self.blocks), transactions))
    }
}
