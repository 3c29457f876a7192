//! The scan of the history of one watch, and its results. No I/O.

use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_bip352::{Match, Prepared};
use sdk_relay_chain::BlockRef;
use sdk_relay_index::{Paid, Scanned};
use sdk_relay_protocol::{MissingBlocks, MissingReason};
use sdk_relay_scheduler::{Facts, Row};
use sdk_relay_store::index::IndexedBlock;

use super::mailbox::Mailbox;
use super::spend::Spend;

/// A history to scan.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) watch_id: String,
    pub(super) receiver: Arc<Prepared>,
    pub(super) mailbox: Mailbox,
    pub(super) next: u32,
    pub(super) until: u32,
    /// The last turn in which it was served.
    pub(super) served: u64,
}

/// Where a scan continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextScan {
    /// The next block, and the last.
    Go { next: u32, until: u32 },
    /// The scanned range is not of the chain of detection: the index, or detection, has not processed a reorganisation
    /// yet.
    Stale { next: u32, until: u32 },
    /// All is sent, or the watch has ended.
    Done,
}

/// Payments of a part of the history of a watch: from its next block through this one.
pub(super) struct ScannedRange {
    pub(super) watch_id: String,
    pub(super) from: u32,
    pub(super) through: BlockRef,
    pub(super) found: Vec<Found>,
    /// The tip of the index when the spends of `found` were looked up; `None` if they were not, as nothing was found.
    pub(super) index_tip: Option<BlockRef>,
    /// Why these blocks cannot be scanned; there are no payments then, and the hash of `through` is not meaningful.
    pub(super) missing: Option<MissingReason>,
}

impl ScannedRange {
    pub(super) fn payments(&self) -> usize {
        self.found.iter().map(|found| found.matches.len()).sum()
    }
}

/// A transaction of the history that pays a watch.
pub(super) struct Found {
    pub(super) at: BlockRef,
    pub(super) time: u32,
    pub(super) row: Row,
    pub(super) matches: Vec<Match>,
    /// The spends of the matched outputs in the blocks of the index, by the index of the output.
    pub(super) spends: Vec<(u32, ChainSpend)>,
}

/// What spends an output in a block of the index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ChainSpend {
    pub(super) at: BlockRef,
    /// Of the block, Unix seconds.
    pub(super) time: u32,
    /// The transaction, and its input where that is known; `None` if neither the index nor the node has it.
    pub(super) by: Option<(Txid, Option<u32>)>,
    /// The node has not given the block in time, but may have it later.
    pub(super) may_be_named: bool,
}

impl ChainSpend {
    /// As it is reported.
    pub(super) fn to_spend(self) -> Spend {
        Spend {
            by: self.by.map(|(txid, _)| txid),
            vin: self.by.and_then(|(_, vin)| vin),
            block: Some((self.at.height, self.at.hash)),
            timestamp: u64::from(self.time),
            fee_sats: None,
        }
    }
}

impl Found {
    /// Height of the block of each matched output, and the output.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (u32, OutPoint)> + '_ {
        let outpoint = |found: &Match| OutPoint::new(self.row.facts.txid, found.vout);
        self.matches.iter().map(move |found| (self.at.height, outpoint(found)))
    }
}

impl From<Paid> for Found {
    fn from(paid: Paid) -> Self {
        let facts = Facts {
            txid: paid.eligible.txid,
            fee: paid.fee,
            size: u64::from(paid.size),
        };
        Self {
            at: paid.at,
            time: paid.time,
            row: Row {
                eligible: paid.eligible,
                facts,
            },
            matches: paid.matches,
            spends: Vec::new(),
        }
    }
}

/// Remaining capacity of the mailbox of one connection in a turn.
pub(super) struct Left {
    pub(super) payments: usize,
    /// No scan has added anything.
    pub(super) is_untouched: bool,
}

impl Scan {
    /// The results for this scan, as far as its connection has capacity: whole blocks, and at least one if no other
    /// scan of the connection has used any. `None` if not even one block is finished or fits; then the scan gets a
    /// later turn.
    pub(super) fn scanned(&self, blocks: &[IndexedBlock], found: Scanned, left: &Left) -> Option<ScannedRange> {
        let mut capacity = left.payments;
        let Scanned { paid, unfinished } = found;
        if unfinished.is_some_and(|height| height <= self.next) {
            return None;
        }
        let is_finished = |height: u32| unfinished.is_none_or(|unfinished| height < unfinished);
        let own = |height: u32| (self.next..=self.until).contains(&height) && is_finished(height);
        let mut through = self.next;
        let mut found = paid
            .into_iter()
            .map(Found::from)
            .filter(|f| own(f.at.height))
            .peekable();
        let mut taken = Vec::new();
        for block in blocks.iter().filter(|b| own(b.height)) {
            let mut of_block = Vec::new();
            while let Some(next) = found.next_if(|f| f.at.height == block.height) {
                of_block.push(next);
            }
            let payments = of_block.iter().map(|f| f.matches.len()).sum();
            if payments > capacity {
                if block.height > self.next {
                    break;
                }
                if !left.is_untouched {
                    return None;
                }
            }
            capacity = capacity.saturating_sub(payments);
            through = block.height;
            taken.extend(of_block);
        }
        let at = blocks.iter().find(|b| b.height == through).map_or_else(
            || BlockRef {
                height: through,
                hash: BlockHash::all_zeros(),
            },
            place,
        );
        Some(ScannedRange {
            watch_id: self.watch_id.clone(),
            from: self.next,
            through: at,
            found: taken,
            index_tip: None,
            missing: None,
        })
    }

    /// Blocks from the next one on that cannot be scanned.
    pub(super) fn missing(&self, MissingBlocks { to, reason, .. }: MissingBlocks) -> ScannedRange {
        ScannedRange {
            watch_id: self.watch_id.clone(),
            from: self.next,
            through: BlockRef {
                height: to,
                hash: BlockHash::all_zeros(),
            },
            found: Vec::new(),
            index_tip: None,
            missing: Some(reason),
        }
    }

    /// Continues at the position that detection sets; `false` if its range could not be used.
    pub(super) fn resume(&mut self, next_scan: NextScan) -> bool {
        let (used, next, until) = match next_scan {
            NextScan::Go { next, until } => (true, next, until),
            NextScan::Stale { next, until } => (false, next, until),
            NextScan::Done => (true, 1, 0),
        };
        (self.next, self.until) = (next, until);
        used
    }
}

fn place(block: &IndexedBlock) -> BlockRef {
    BlockRef {
        height: block.height,
        hash: block.hash,
    }
}
