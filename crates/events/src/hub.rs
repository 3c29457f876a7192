//! The hub of a relay: the newest events, the chain as of them, and reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::BlockHash;
use sdk_relay_protocol::Topic;
use sdk_relay_store::{BlockChange, EventLog, LogEntry, StoreError};
use tokio::sync::{broadcast, watch};

use crate::frame::Frame;
use crate::ring::Ring;

/// Capacity of the queue of reports. They are periodic snapshots: a missed one is replaced by the next. All connections
/// share them, 1 KB each.
const REPORTS_AHEAD: usize = 16;

/// A report on one of the topics `sync`, `health`, `metrics`.
#[derive(Clone, Debug)]
pub struct Report {
    /// Topic whose subscribers receive it.
    pub topic: Topic,
    /// The `sync` message.
    pub frame: Frame,
}

/// The hub of one relay.
#[derive(Debug)]
pub struct Hub {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) ring: RwLock<Ring>,
    pub(crate) head: watch::Sender<u64>,
    reports: broadcast::Sender<Report>,
    chain: RwLock<Chain>,
    /// The first event after skipped blocks; 0 if there are none. Checked in each step of each client.
    hole_before: AtomicU64,
}

/// The chain as of the newest event.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Its newest blocks, the tip last.
    pub(crate) blocks: BTreeMap<u32, BlockHash>,
    /// Disconnected blocks: the newest event before, and the height of the block.
    left: VecDeque<(u64, u32)>,
}

/// Disconnected blocks that the hub keeps, for histories in progress: two of the deepest reorganisations.
const LEFT_BLOCKS: usize = 4096;
/// Blocks of the chain that it keeps, for the same purpose: deeper than any known reorganisation.
const CHAIN_BLOCKS: usize = 2048;

impl Hub {
    /// A hub over a log.
    pub fn new(log: Arc<impl EventLog>) -> Result<Self, StoreError> {
        let newest = log.next_event_id()? - 1;
        let hole_before = log.hole_before()?;
        let blocks = log.recent_blocks()?.into_iter().collect();
        let (head, _) = watch::channel(newest);
        let (reports, _) = broadcast::channel(REPORTS_AHEAD);
        Ok(Self {
            log,
            ring: RwLock::new(Ring::new(newest)),
            head,
            reports,
            chain: RwLock::new(Chain {
                blocks,
                left: VecDeque::new(),
            }),
            hole_before: AtomicU64::new(hole_before),
        })
    }

    /// Publishes events that are committed to the log, in the order of their ids. `change` is their change of the
    /// chain.
    pub fn publish(&self, entries: Vec<LogEntry>, change: Option<BlockChange>) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let jumps = matches!(change, Some(BlockChange::Jump(..)));
        // The first block ever skips no other.
        if jumps && self.tip().is_some() {
            self.hole_before.store(ring.newest() + 1, Ordering::Release);
        }
        // Within the lock of the ring: a cursor at the head sees the chain of the head.
        self.chain
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(ring.newest(), change);
        let Some(newest) = entries.last().map(|e| e.id) else {
            if jumps {
                // Cursors are at a hole now: notify them.
                drop(ring);
                self.head.send_modify(|_| {});
            }
            return;
        };
        for entry in entries {
            ring.push(entry.id, entry.topic, Frame::logged(entry.id, entry.payload));
        }
        drop(ring);
        self.head.send_replace(newest);
    }

    /// The tip as of the newest event.
    pub fn tip(&self) -> Option<u32> {
        self.with_chain(Chain::tip)
    }

    /// The block at this height, as of the newest event; `None` if the hub does not keep it.
    pub fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.with_chain(|chain| chain.blocks.get(&height).copied())
    }

    /// The first event after the newest run of skipped blocks; 0 if there is none.
    pub(crate) fn hole_before(&self) -> u64 {
        self.hole_before.load(Ordering::Acquire)
    }

    pub(crate) fn with_chain<T>(&self, of: impl FnOnce(&Chain) -> T) -> T {
        of(&self.chain.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lowest block that left the chain after this event; `None` if none did.
    pub fn left_after(&self, event: u64) -> Option<u32> {
        self.with_chain(|chain| {
            let left = chain.left.iter().filter(|(before, _)| *before >= event);
            left.map(|(_, height)| *height).min()
        })
    }

    /// The id of the newest event; 0 before the first.
    pub fn newest(&self) -> u64 {
        *self.head.borrow()
    }

    /// The newest event, and how to wait for newer ones.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Publishes a report.
    pub fn report(&self, report: Report) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "it fails without subscribers, which is no error"
        )]
        let _ = self.reports.send(report);
    }

    /// Reports from now on.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }
}

impl Chain {
    pub(crate) fn tip(&self) -> Option<u32> {
        self.blocks.last_key_value().map(|(height, _)| *height)
    }

    fn apply(&mut self, newest: u64, change: Option<BlockChange>) {
        match change {
            Some(BlockChange::Connect(height, hash)) => {
                self.blocks.insert(height, hash);
                while self.blocks.len() > CHAIN_BLOCKS {
                    self.blocks.pop_first();
                }
            }
            Some(BlockChange::Jump(height, hash)) => self.blocks = BTreeMap::from([(height, hash)]),
            Some(BlockChange::Disconnect { height, parent }) => {
                self.blocks.split_off(&height);
                if let Some(below) = height.checked_sub(1) {
                    self.blocks.insert(below, parent);
                }
                if self.left.len() == LEFT_BLOCKS {
                    self.left.pop_front();
                }
                self.left.push_back((newest, height));
            }
            None => {}
        }
    }
}
