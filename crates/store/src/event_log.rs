//! What the relay needs of its log, whatever stores it.

use std::fmt::Debug;

use bitcoin::{BlockHash, OutPoint};

use crate::{EventKind, LogEntry, StoreError};

/// The log of a relay: its events in order, the chain up to which they are logged, and the payments that can still
/// change.
///
/// One task writes, in commits that are durable as a whole or not at all; the tip and its events are in one of them,
/// and nobody is sent what is not committed. Any number of threads read, and see whole commits only. Each
/// implementation passes the tests of `testing::conformance`.
pub trait EventLog: Debug + Send + Sync + 'static {
    /// Makes the batch durable: when this returns, it survives a kill and a power cut. After an error of the storage
    /// all of it is in the log or nothing: the same batch is to be committed again, which changes nothing where it is
    /// there already. A batch whose first id is not [`Self::next_event_id`] is refused, and changes nothing.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Begins an empty log at this id: a client that resumes from a lower one is sent the gap. Does nothing once the
    /// log has begun.
    fn begin_log(&self, first: u64) -> Result<(), StoreError>;

    /// The id that the next event is to have; the newest one's plus one. The first of all is 1.
    fn next_event_id(&self) -> Result<u64, StoreError>;

    /// The lowest event id from which the log is without loss. A reader that has dealt with `complete_from - 1` misses
    /// no event, and no block either unless its id is below [`Self::hole_before`].
    fn complete_from(&self) -> Result<u64, StoreError>;

    /// The first event id after blocks that could not be followed, the newest of such; 0 where there are none. A reader
    /// that has dealt with lower ids only misses what these blocks hold.
    fn hole_before(&self) -> Result<u64, StoreError>;

    /// Recent blocks of the chain up to which events are logged, oldest first, without holes; the last is the tip.
    fn recent_blocks(&self) -> Result<Vec<(u32, BlockHash)>, StoreError>;

    /// The payments of the relay's own wallets, in no order.
    fn payments(&self) -> Result<Vec<(OutPoint, Vec<u8>)>, StoreError>;

    /// Events with a larger id than `after`, in order, as far as the limit allows.
    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError>;

    /// The newest event of this kind about this block, among the newest `look_back` events of the log.
    fn newest_about(&self, kind: EventKind, block: BlockHash, look_back: usize) -> Result<Option<u64>, StoreError>;
}

/// What is committed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The tip's change, if any.
    pub block: Option<BlockChange>,
    /// New events. Their ids continue from [`EventLog::next_event_id`] without holes.
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
    /// The tip is removed; its parent is the tip again, and is known from now on if it was not.
    Disconnect {
        /// Of the block that is removed.
        height: u32,
        /// Hash of the block below it.
        parent: BlockHash,
    },
    /// The chain continues from this block, with a hole before it: events of the hole are lost.
    Jump(u32, BlockHash),
}

/// How much one read may return.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Events at most.
    pub events: usize,
    /// Bytes of payload at most; one event is always read, whatever its size.
    pub bytes: usize,
}

/// Bounds of the event log. The oldest events are removed first; what was committed last stays, up to the bound on the
/// number of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events at most.
    pub events: u64,
    /// Bytes of payloads at most.
    pub bytes: u64,
}
