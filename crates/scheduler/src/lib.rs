//! The scan scheduler: scans rows for watches, in pieces of bounded cost.
//!
//! Detection pushes [`Batch`]es of rows (transactions that entered the mempool, a block, or the mempool at the
//! registration of a watch) for the connections that have watches, and receives [`Outcome`]s. It never waits for a
//! scan. [`queue`] selects the next piece and does no I/O; [`threads`] scans it.
//!
//! - Addresses share the processors by cost ([`fair`]), and connections share the part of their address.
//! - For each connection, the batches of a class are scanned in order; the mempool has priority over blocks, and both
//!   over backfill.
//! - Owners that wait for the same rows share a piece, and equal keys in it are scanned once.
//! - Work ends with its watch ([`Entry`] holds its keys weakly), with its connection ([`Scheduler::leave`]) and with
//!   its block ([`Batch::cancel`]).

mod fair;
mod metrics;
mod pieces;
mod queue;
mod row;
mod spawn;
mod tasks;
mod threads;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use sdk_relay_bip352::{Match, Prepared, Receiver};
use sdk_relay_chain::BlockRef;
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

pub use fair::Fair;
pub use metrics::ScanMetrics;
pub use row::{Facts, Row};
pub use spawn::{SpawnThread, ThreadWork};
pub use threads::Scheduler;

/// A connection that has watches: the unique number of its mailbox.
pub type Owner = u64;

/// Cost of a pair of row and receiver, in units of 0.1 µs: about 2 µs with IFMA.
pub const PAIR: u64 = 20;
/// Number of labels of a receiver that cost one unit per row: an addition shared among the lanes.
const LABELS_PER_UNIT: u64 = 6;
/// Cost of a piece of work, in the same units: 6 ms with IFMA. The next piece waits for at most one on each thread.
pub const PIECE: u64 = 60_000;
/// Cost of notifying one watch of one payment: detection encodes it, and the connection sends it.
const NOTIFY: u64 = 100;
/// Smallest number of rows of a piece, to fill the batches of the engine.
const ROWS_AT_LEAST: usize = 16;
/// Largest number of rows of a piece.
const ROWS_AT_MOST: usize = 1_024;

/// Class of a batch, in the order of priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Transactions that entered the mempool.
    Mempool,
    /// A block that connected.
    Block,
    /// The mempool before the registration of a watch.
    Backfill,
}

/// Rows that are scanned for several owners.
#[derive(Debug)]
pub struct Batch {
    /// Its priority.
    pub class: Class,
    /// Eligible transactions, in order.
    pub rows: Arc<[Arc<Row>]>,
    /// The block that holds the rows, with its time; `None`: they were in the mempool.
    pub block: Option<(BlockRef, u64)>,
    /// When the relay saw the rows, Unix seconds.
    pub seen: u64,
    /// The first event that must not be sent to an owner before this batch is scanned for it; `None`: no event waits.
    pub mark: Option<u64>,
    /// The watch whose backfill ends with this batch; `None`: it has rows, or is not backfill.
    pub last_of: Option<u64>,
    /// When it was made, for [`ScanMetrics`].
    begun: Instant,
    /// Rows of one piece.
    chunk: usize,
    cancelled: AtomicBool,
}

impl Batch {
    /// A batch for which no event waits. `receivers`: the approximate number of receivers.
    pub fn new(class: Class, rows: Arc<[Arc<Row>]>, receivers: usize) -> Self {
        let pairs = usize::try_from(PIECE / PAIR).unwrap_or(usize::MAX);
        Self {
            class,
            rows,
            block: None,
            seen: unix_now(),
            mark: None,
            last_of: None,
            begun: Instant::now(),
            chunk: (pairs / receivers.max(1)).clamp(ROWS_AT_LEAST, ROWS_AT_MOST),
            cancelled: AtomicBool::new(false),
        }
    }

    /// A batch of the mempool or of `block`. Its clients receive no event from `mark` on before it is scanned for them.
    pub fn live(rows: Arc<[Arc<Row>]>, receivers: usize, mark: u64, block: Option<(BlockRef, u64)>) -> Self {
        let class = if block.is_some() { Class::Block } else { Class::Mempool };
        Self {
            block,
            mark: Some(mark),
            ..Self::new(class, rows, receivers)
        }
    }

    /// A batch without rows, which ends after the backfill that is queued for the same owner. `watch`: the number of
    /// the watch that this backfill is for.
    pub fn last_of(watch: u64) -> Self {
        Self {
            last_of: Some(watch),
            ..Self::new(Class::Backfill, Arc::default(), 1)
        }
    }

    /// Whether its end is reported.
    fn is_reported(&self) -> bool {
        self.mark.is_some() || self.last_of.is_some()
    }

    /// Cancels the parts that are not being scanned yet.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Keys of a connection, and the watches that have them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Owned by the watches: the keys are zeroised when the last of them ends, whatever is queued here.
    receiver: Weak<Prepared>,
    /// Cost of one row.
    cost: u64,
    /// The numbers of the watches.
    watches: Arc<[u64]>,
}

impl Entry {
    /// Keys that these watches of one connection have in common.
    pub fn new(receiver: &Arc<Prepared>, watches: Vec<u64>) -> Self {
        Self {
            cost: cost_of_row(receiver),
            receiver: Arc::downgrade(receiver),
            watches: watches.into(),
        }
    }

    fn has_keys_of(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.receiver, &other.receiver)
    }

    fn add(&mut self, other: &Self) {
        self.watches = self.watches.iter().chain(other.watches.iter()).copied().collect();
    }
}

/// Cost of a row for these keys.
pub fn cost_of_row(receiver: &Receiver) -> u64 {
    PAIR + receiver.labels().count() as u64 / LABELS_PER_UNIT
}

/// All keys of a connection, or of one new watch.
pub type Keys = Arc<[Entry]>;

/// For whom a batch is scanned.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its connection.
    pub owner: Owner,
    /// Its address, which shares the processors with others.
    pub address: IpAddr,
    /// The keys of its watches.
    pub keys: Keys,
}

/// Result of a scan.
#[derive(Debug)]
pub enum Outcome {
    /// A row holds payments to these watches.
    Found {
        /// The scanned batch.
        batch: Arc<Batch>,
        /// Index in its rows.
        row: usize,
        /// The numbers of the watches.
        watches: Vec<u64>,
        /// The payments.
        matches: Vec<Match>,
    },
    /// The batch, which has a mark or is the last of a backfill, is completely scanned for this owner, and all matches
    /// were reported.
    Done {
        /// Its owner.
        owner: Owner,
        /// The scanned batch.
        batch: Arc<Batch>,
    },
    /// A scan failed for this owner, and payments may be missing.
    Failed {
        /// Its owner.
        owner: Owner,
    },
}
