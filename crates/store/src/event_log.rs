//! The interface of the event log, independent of its storage.

use std::fmt::Debug;

use bitcoin::{BlockHash, OutPoint};

use crate::{EventKind, LogEntry, StoreError};

/// The log of a relay: its events in order, the recent blocks of the chain as of the newest event, and the payments of
/// the relay's own wallets.
///
/// One task writes, in atomic and durable commits; a commit contains a tip together with its events, and an event is
/// sent only after its commit. Any number of threads read, and see complete commits only. Each implementation passes
/// the tests of `testing::conformance`.
pub trait EventLog: Debug + Send + Sync + 'static {
    /// Makes the batch durable: when this returns, it survives a kill and a power cut. After a storage error, either
    /// the whole batch is in the log or nothing: commit the same batch again, which has no effect if it is already
    /// there. A batch whose first id is not [`Self::next_event_id`] is refused without effect.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Starts an empty log at this id: a client that resumes from a lower one receives a gap. No effect once the log
    /// has an event.
    fn begin_log(&self, first: u64) -> Result<(), StoreError>;

    /// The id of the next event: that of the newest plus one. The first id is 1, unless
    /// [`Self::begin_log`] has set another one.
    fn next_event_id(&self) -> Result<u64, StoreError>;

    /// The lowest event id from which the log is complete. A reader that has processed `complete_from - 1` misses no
    /// event, and no block unless its id is below [`Self::hole_before`].
    fn complete_from(&self) -> Result<u64, StoreError>;

    /// The first event id after the newest run of skipped blocks; 0 if there is none. A reader that has processed only
    /// lower ids misses the events of these blocks.
    fn hole_before(&self) -> Result<u64, StoreError>;

    /// Recent blocks of the chain as of the newest event, oldest first, without gaps; the last is the tip.
    fn recent_blocks(&self) -> Result<Vec<(u32, BlockHash)>, StoreError>;

    /// The payments of the relay's own wallets, in no particular order.
    fn payments(&self) -> Result<Vec<(OutPoint, Vec<u8>)>, StoreError>;

    /// Events with a larger id than `after`, in order, up to the limit.
    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError>;

    /// The newest event of this kind about this block, among the newest `look_back` events of the log.
    fn newest_about(&self, kind: EventKind, block: BlockHash, look_back: usize) -> Result<Option<u64>, StoreError>;
}

/// One atomic commit.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The change of the tip, if any.
    pub block: Option<BlockChange>,
    /// New events. Their ids are consecutive from [`EventLog::next_event_id`].
    pub events: Vec<LogEntry>,
    /// Payments of the relay's own wallets: `Some` is written, `None` is deleted.
    pub payments: Vec<(OutPoint, Option<Vec<u8>>)>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.block.is_none() && self.events.is_empty() && self.payments.is_empty()
    }
}

/// A change of the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChange {
    /// The block at this height becomes the tip.
    Connect(u32, BlockHash),
    /// The tip is removed; its parent becomes the tip, and is added if it was unknown.
    Disconnect {
        /// Height of the removed block.
        height: u32,
        /// Hash of the block below it.
        parent: BlockHash,
    },
    /// The chain continues from this block after skipped blocks, which have no events.
    Jump(u32, BlockHash),
}

/// How much one read may return.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Largest number of events.
    pub events: usize,
    /// Largest total payload in bytes; at least one event is returned, whatever its size.
    pub bytes: usize,
}

/// Bounds of the event log. The oldest events are removed first; the last commit is kept, up to the bound on the number
/// of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Largest number of events.
    pub events: u64,
    /// Largest total payload in bytes.
    pub bytes: u64,
}
