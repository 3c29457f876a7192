//! The queued batches of one owner, and their progress.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use sdk_relay_bip352::Prepared;

use super::pieces::{Column, Scan, Searching, Target};
use super::{Batch, Class, Keys, Owner};

/// Largest number of queued live rows of one connection: 80 full mainnet blocks. A connection that is further behind is
/// closed: it has more keys than its share of the processors can scan.
pub(super) const ROWS_BEHIND: usize = 200_000;
/// Largest number of queued batches of one connection, because batches can be small.
pub(super) const BATCHES_BEHIND: usize = 4_096;

/// Owners with work for the express thread (the mempool), for the general threads (mempool and blocks), and with
/// backfill.
#[derive(Clone, Copy)]
pub(super) enum Ring {
    Express,
    Live,
    Backfill,
}

#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) address: IpAddr,
    /// By class. Only the first of each is processed.
    pub(super) by_class: [VecDeque<Task>; 3],
    /// Number of rows of the live ones.
    pub(super) rows: usize,
}

/// A batch for an owner.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) serial: u64,
    pub(super) batch: Arc<Batch>,
    pub(super) keys: Keys,
    /// The next row, and the next of the keys for it.
    pub(super) row: usize,
    pub(super) key: usize,
    /// Unfinished pieces and searches.
    pub(super) open: usize,
    /// Pieces that are being scanned.
    pub(super) scanning: usize,
    /// Queued searches charged to this owner, in the order of the rows. They start when all rows are scanned, one at a
    /// time, so that payments are reported in the order of the rows.
    pub(super) searches: VecDeque<Searching>,
    pub(super) is_searching: bool,
}

impl Tasks {
    pub(super) fn of(&mut self, class: Class) -> &mut VecDeque<Task> {
        let [mempool, block, backfill] = &mut self.by_class;
        match class {
            Class::Mempool => mempool,
            Class::Block => block,
            Class::Backfill => backfill,
        }
    }

    /// The first task with available work, of the classes of a ring.
    pub(super) fn first_with_work(&mut self, ring: Ring) -> Option<&mut Task> {
        let [mempool, block, backfill] = &mut self.by_class;
        let classes = match ring {
            Ring::Express => [Some(mempool), None],
            Ring::Live => [Some(mempool), Some(block)],
            Ring::Backfill => [Some(backfill), None],
        };
        let mut first = classes.into_iter().flatten().filter_map(VecDeque::front_mut);
        first.find(|task| task.has_work())
    }

    /// Adds the keys to a task of this batch that has not started, so that they share its pieces.
    pub(super) fn join(&mut self, batch: &Arc<Batch>, keys: &Keys) -> bool {
        let mut waiting = self.of(batch.class).iter_mut();
        let Some(task) = waiting.find(|task| Arc::ptr_eq(&task.batch, batch) && task.is_untouched()) else {
            return false;
        };
        let mut all = task.keys.to_vec();
        for entry in keys.iter() {
            match all.iter_mut().find(|known| known.has_keys_of(entry)) {
                Some(known) => known.add(entry),
                None => all.push(entry.clone()),
            }
        }
        task.keys = all.into();
        true
    }

    /// Cost of this backfill batch that is still queued for this owner.
    pub(super) fn backfill_cost(&self, batch: &Arc<Batch>) -> u64 {
        let [_, _, backfill] = &self.by_class;
        let of_batch = backfill.iter().filter(|task| Arc::ptr_eq(&task.batch, batch));
        of_batch.map(Task::cost).sum()
    }

    pub(super) fn is_behind(&self) -> bool {
        let [mempool, block, _] = &self.by_class;
        self.rows > ROWS_BEHIND || mempool.len() + block.len() > BATCHES_BEHIND
    }
}

impl Task {
    pub(super) fn new(serial: u64, batch: &Arc<Batch>, keys: &Keys) -> Self {
        Self {
            serial,
            batch: Arc::clone(batch),
            keys: Arc::clone(keys),
            row: 0,
            key: 0,
            open: 0,
            scanning: 0,
            searches: VecDeque::new(),
            is_searching: false,
        }
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.row == 0 && self.key == 0 && self.open == 0
    }

    pub(super) fn is_scanned(&self) -> bool {
        self.keys.is_empty() || self.row >= self.batch.rows.len()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.is_scanned() || (self.may_search() && !self.searches.is_empty())
    }

    pub(super) fn may_search(&self) -> bool {
        self.is_scanned() && self.scanning == 0 && !self.is_searching
    }

    pub(super) fn is_over(&self) -> bool {
        self.open == 0 && self.is_scanned()
    }

    pub(super) fn cost(&self) -> u64 {
        self.keys.iter().map(|entry| entry.cost).sum::<u64>() * self.batch.rows.len() as u64
    }

    /// Adds the next of its keys to the piece, up to this cost, but at least one. Returns their cost.
    pub(super) fn take(
        &mut self,
        scan: &mut Scan,
        owner: Owner,
        columns: &mut HashMap<*const Prepared, usize>,
        most: u64,
    ) -> u64 {
        let rows = scan.rows.len() as u64;
        let mut cost = 0;
        while let Some(entry) = self.keys.get(self.key) {
            if cost > 0 && cost + entry.cost * rows > most {
                break;
            }
            self.key += 1;
            // Otherwise the watch has ended.
            let Some(receiver) = entry.receiver.upgrade() else {
                continue;
            };
            let target = Target {
                owner,
                serial: self.serial,
                watches: Arc::clone(&entry.watches),
            };
            let position = *columns.entry(Arc::as_ptr(&receiver)).or_insert(scan.columns.len());
            match scan.columns.get_mut(position) {
                Some(column) => column.to.push(target),
                None => {
                    cost += entry.cost * rows;
                    scan.columns.push(Column {
                        receiver,
                        to: vec![target],
                    });
                }
            }
        }
        if self.key >= self.keys.len() {
            self.key = 0;
            self.row = scan.rows.end;
        }
        cost
    }
}
