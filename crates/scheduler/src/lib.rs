//! The scan scheduler: everything that is scanned for watches, in pieces of bounded cost.
//!
//! Detection pushes [`Batch`]es of rows (transactions that entered the mempool, a block, the mempool as a new watch
//! found it) for the connections that have watches, and receives [`Outcome`]s. It never waits for a scan. [`queue`]
//! decides what is scanned next and does no I/O; [`threads`] does it.
//!
//! - Addresses share the processors by cost ([`fair`]), and connections share what their address gets.
//! - For each connection, the batches of a class are scanned in the order in which they came; the mempool goes before
//!   blocks, and both before backfill.
//! - Owners that wait for the same rows share a piece, and equal keys in it are scanned once.
//! - Work ends with its watch ([`Entry`] holds its keys weakly), with its connection ([`Scheduler::leave`]) and with
//!   its block ([`Batch::cancel`]).

mod fair;
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

pub use fair::Fair;
pub use row::{Facts, Row};
pub use spawn::SpawnThread;
pub use threads::Scheduler;

/// A connection that has watches: its mailbox's number, which no other has.
pub type Owner = u64;

/// What a pair of row and receiver costs, in tenths of a microsecond: about 2 µs with IFMA.
pub const PAIR: u64 = 20;
/// Labels of a receiver that cost as much as one unit for each row: an addition shared among the lanes.
const LABELS_PER_UNIT: u64 = 6;
/// A piece of work, in the same units: 6 ms with IFMA. The next one waits for one piece on each thread at most.
pub const PIECE: u64 = 60_000;
/// Notifying one watch of one payment: detection encodes it, and the connection sends it.
const NOTIFY: u64 = 100;
/// Rows of a piece at least, so that the engine's batches pay.
const ROWS_AT_LEAST: usize = 16;
/// Rows of a piece at most.
const ROWS_AT_MOST: usize = 1_024;

/// What a batch is of, in the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Transactions that entered the mempool.
    Mempool,
    /// A block that connected.
    Block,
    /// What was in the mempool before a watch.
    Backfill,
}

/// Rows that are scanned for several owners.
#[derive(Debug)]
pub struct Batch {
    /// How urgent it is.
    pub class: Class,
    /// Eligible transactions, in order.
    pub rows: Arc<[Arc<Row>]>,
    /// The block that holds the rows, with its time; `None`: they were in the mempool.
    pub block: Option<(BlockRef, u64)>,
    /// When the relay saw the rows, Unix seconds.
    pub seen: u64,
    /// The first event that an owner may not see before this batch is scanned for it; `None`: it waits for nothing.
    pub mark: Option<u64>,
    /// Rows of one piece.
    chunk: usize,
    cancelled: AtomicBool,
}

impl Batch {
    /// Rows that wait for nothing. `receivers`: for how many it will be scanned, about.
    pub fn new(class: Class, rows: Arc<[Arc<Row>]>, receivers: usize) -> Self {
        let pairs = usize::try_from(PIECE / PAIR).unwrap_or(usize::MAX);
        Self {
            class,
            rows,
            block: None,
            seen: unix_now(),
            mark: None,
            chunk: (pairs / receivers.max(1)).clamp(ROWS_AT_LEAST, ROWS_AT_MOST),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Of a block, where one is given. Its clients see no event from `mark` on before it is scanned for them.
    pub fn live(rows: Arc<[Arc<Row>]>, receivers: usize, mark: u64, block: Option<(BlockRef, u64)>) -> Self {
        let class = if block.is_some() { Class::Block } else { Class::Mempool };
        Self {
            block,
            mark: Some(mark),
            ..Self::new(class, rows, receivers)
        }
    }

    /// The result is not needed any more: what is not being scanned yet will not be.
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
    /// Held by the watches alone: the keys are wiped when the last of them ends, whatever waits here.
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

/// What a row costs for these keys.
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
    /// Who shares the processors with other addresses.
    pub address: IpAddr,
    /// What its watches have.
    pub keys: Keys,
}

/// What the scheduler reports.
#[derive(Debug)]
pub enum Outcome {
    /// A row holds payments to these watches.
    Found {
        /// What was scanned.
        batch: Arc<Batch>,
        /// Index in its rows.
        row: usize,
        /// The numbers of the watches.
        watches: Vec<u64>,
        /// The payments.
        matches: Vec<Match>,
    },
    /// The batch, which has a mark, is scanned for this owner, and everything found was reported.
    Done {
        /// For whom.
        owner: Owner,
        /// What was scanned.
        batch: Arc<Batch>,
    },
    /// A scan failed for this owner, and payments may be missing.
    Failed {
        /// For whom.
        owner: Owner,
    },
}
