//! A log in memory, for tests of readers, and as the model that the file is compared with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bitcoin::{BlockHash, OutPoint};

use crate::format::KEPT_BLOCKS;
use crate::{Batch, BlockChange, EventKind, EventLog, LogEntry, ReadLimit, Retention, StoreError};

/// An event log in memory.
#[derive(Debug)]
pub struct MemoryLog {
    retention: Retention,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    events: VecDeque<LogEntry>,
    next: u64,
    complete_from: u64,
    hole_before: u64,
    blocks: BTreeMap<u32, BlockHash>,
    payments: BTreeMap<OutPoint, Vec<u8>>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            state: Mutex::new(State {
                events: VecDeque::new(),
                next: 1,
                complete_from: 1,
                hole_before: 0,
                blocks: BTreeMap::new(),
                payments: BTreeMap::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog for MemoryLog {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.state();
        if !batch.events.is_empty() && state.events.back() == batch.events.last() {
            return Ok(());
        }
        for (expected, entry) in (state.next..).zip(&batch.events) {
            if entry.id != expected {
                let found = entry.id;
                return Err(StoreError::OutOfSequence { expected, found });
            }
        }
        state.change_tip(batch.block);
        state.next += batch.events.len() as u64;
        state.events.extend(batch.events.iter().cloned());
        if !batch.events.is_empty() {
            state.trim(self.retention, batch.events.len());
        }
        for (outpoint, record) in &batch.payments {
            match record {
                Some(record) => drop(state.payments.insert(*outpoint, record.clone())),
                None => drop(state.payments.remove(outpoint)),
            }
        }
        Ok(())
    }

    fn begin_log(&self, first: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.next == 1 {
            (state.next, state.complete_from) = (first.max(1), first.max(1));
        }
        Ok(())
    }

    fn next_event_id(&self) -> Result<u64, StoreError> {
        Ok(self.state().next)
    }

    fn complete_from(&self) -> Result<u64, StoreError> {
        Ok(self.state().complete_from)
    }

    fn hole_before(&self) -> Result<u64, StoreError> {
        Ok(self.state().hole_before)
    }

    fn recent_blocks(&self) -> Result<Vec<(u32, BlockHash)>, StoreError> {
        Ok(self.state().blocks.iter().map(|(h, hash)| (*h, *hash)).collect())
    }

    fn payments(&self) -> Result<Vec<(OutPoint, Vec<u8>)>, StoreError> {
        Ok(self.state().payments.iter().map(|(o, p)| (*o, p.clone())).collect())
    }

    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError> {
        let state = self.state();
        let mut bytes = 0;
        let newer = state.events.iter().filter(|entry| entry.id > after);
        let fitting = newer.enumerate().take_while(|(n, entry)| {
            bytes += entry.payload.len();
            *n == 0 || (bytes <= limit.bytes && *n < limit.events)
        });
        Ok(fitting.map(|(_, entry)| entry.clone()).collect())
    }

    fn newest_about(&self, kind: EventKind, block: BlockHash, look_back: usize) -> Result<Option<u64>, StoreError> {
        let state = self.state();
        let mut newest = state.events.iter().rev().take(look_back);
        let found = newest.find(|entry| entry.kind == kind && entry.block_hash == Some(block));
        Ok(found.map(|entry| entry.id))
    }
}

impl State {
    fn change_tip(&mut self, change: Option<BlockChange>) {
        match change {
            None => {}
            Some(BlockChange::Connect(height, hash)) => {
                self.blocks.insert(height, hash);
                self.blocks
                    .retain(|kept, _| u64::from(*kept) + u64::from(KEPT_BLOCKS) > u64::from(height));
            }
            Some(BlockChange::Disconnect { height, parent }) => {
                self.blocks.remove(&height);
                if let Some(below) = height.checked_sub(1) {
                    self.blocks.insert(below, parent);
                }
            }
            Some(BlockChange::Jump(height, hash)) if self.blocks == BTreeMap::from([(height, hash)]) => {}
            Some(BlockChange::Jump(height, hash)) => {
                self.complete_from = self.next;
                if !self.blocks.is_empty() {
                    self.hole_before = self.next;
                }
                self.blocks = BTreeMap::from([(height, hash)]);
            }
        }
    }

    /// Removes the oldest events beyond the bounds; of the newest `new` ones, only those beyond the bound on their
    /// number.
    fn trim(&mut self, retention: Retention, new: usize) {
        let mut bytes: u64 = self.events.iter().map(|entry| entry.payload.len() as u64).sum();
        while self.events.len() > 1 {
            let too_many = self.events.len() as u64 > retention.events;
            if !too_many && (bytes <= retention.bytes || self.events.len() <= new) {
                return;
            }
            let Some(gone) = self.events.pop_front() else { return };
            bytes -= gone.payload.len() as u64;
            self.complete_from = self.complete_from.max(gone.id + 1);
        }
    }
}
