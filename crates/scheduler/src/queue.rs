//! The queue of scans, and the selection of the next one. Pure, without I/O.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::fair::Fair;
use super::pieces::{Piece, Scan, Searching};
use super::tasks::{Ring, Task, Tasks};
use super::{Batch, Class, Client, NOTIFY, Owner, PIECE};

/// Largest cost of queued backfill of one address: a minute of one processor. Beyond it, new watches are refused.
const BACKFILL_PER_ADDRESS: u64 = 600_000_000;
/// The same for all addresses together: ten minutes.
const BACKFILL: u64 = 6_000_000_000;
/// One of this many pieces of the general threads is backfill, if any is queued, so that live work of others cannot
/// starve the mempool scan of a new watch.
const BACKFILL_TURN: u64 = 8;

/// Number of owners that are checked for the same rows.
const MAX_CO_SCHEDULED: usize = 1_024;

/// The owner is too far behind: its batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind;

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    owners: HashMap<Owner, Tasks>,
    rings: [Fair; 3],
    /// Cost of queued backfill, by address.
    backfill: HashMap<IpAddr, u64>,
    backfill_of_all: u64,
    /// Ended tasks whose end is to be reported.
    ended: Vec<(Owner, Arc<Batch>)>,
    serial: u64,
    turn: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            owners: HashMap::new(),
            rings: [(); 3].map(|()| Fair::new(PIECE)),
            backfill: HashMap::new(),
            backfill_of_all: 0,
            ended: Vec::new(),
            serial: 0,
            turn: 0,
        }
    }
}

impl Queue {
    /// Queues the batch for this client. Backfill is always accepted (see [`Queue::is_busy`]); a refused batch has no
    /// effect.
    pub(super) fn push(&mut self, batch: &Arc<Batch>, client: &Client) -> Result<(), Behind> {
        let is_backfill = batch.class == Class::Backfill;
        let tasks = self.owners.entry(client.owner).or_insert_with(|| Tasks {
            address: client.address,
            by_class: [const { VecDeque::new() }; 3],
            rows: 0,
        });
        if is_backfill {
            let before = tasks.backfill_cost(batch);
            if before == 0 || !tasks.join(batch, &client.keys) {
                self.serial += 1;
                tasks
                    .of(batch.class)
                    .push_back(Task::new(self.serial, batch, &client.keys));
            }
            let cost = tasks.backfill_cost(batch) - before;
            *self.backfill.entry(client.address).or_default() += cost;
            self.backfill_of_all += cost;
        } else if tasks.is_behind() {
            return Err(Behind);
        } else {
            self.serial += 1;
            tasks.rows += batch.rows.len();
            tasks
                .of(batch.class)
                .push_back(Task::new(self.serial, batch, &client.keys));
        }
        self.update(client.owner);
        Ok(())
    }

    /// Whether the queue of backfill of this address, or of all, is full.
    pub(super) fn is_busy(&self, address: IpAddr) -> bool {
        self.backfill_of_all >= BACKFILL
            || self
                .backfill
                .get(&address)
                .is_some_and(|cost| *cost >= BACKFILL_PER_ADDRESS)
    }

    /// Drops the work of this owner. Work shared with others continues at their cost.
    pub(super) fn leave(&mut self, owner: Owner) {
        let Some(tasks) = self.owners.remove(&owner) else {
            return;
        };
        for ring in &mut self.rings {
            ring.set_idle(tasks.address, owner);
        }
        for task in tasks.by_class.into_iter().flatten() {
            self.forget_backfill(tasks.address, &task);
            for search in task.searches {
                self.requeue(search);
            }
        }
    }

    /// The next piece of work. `express`: only transactions that entered the mempool.
    pub(super) fn next(&mut self, express: bool) -> Option<Piece> {
        let rings: &[Ring] = if express {
            &[Ring::Express]
        } else {
            self.turn += 1;
            if self.turn.is_multiple_of(BACKFILL_TURN) {
                &[Ring::Backfill, Ring::Live]
            } else {
                &[Ring::Live, Ring::Backfill]
            }
        };
        rings.iter().find_map(|ring| self.next_of(*ring))
    }

    /// Tasks that have ended since the last call.
    pub(super) fn ended(&mut self) -> Vec<(Owner, Arc<Batch>)> {
        std::mem::take(&mut self.ended)
    }

    /// Records a finished scan, with the pairs of row and column that need a search.
    pub(super) fn scanned(&mut self, scan: Scan, found: impl IntoIterator<Item = (usize, usize)>) {
        let Scan {
            batch,
            rows,
            columns,
            of,
        } = scan;
        for (row, column) in found {
            let Some(column) = columns.get(column) else { continue };
            for to in &column.to {
                if let Some(task) = self.task(to.owner, to.serial) {
                    task.open += 1;
                }
            }
            self.requeue(Searching {
                batch: Arc::clone(&batch),
                row: rows.start + row,
                receiver: Arc::downgrade(&column.receiver),
                search: None,
                to: column.to.clone(),
            });
        }
        for (owner, serial) in of {
            if let Some(task) = self.task(owner, serial) {
                task.scanning -= 1;
            }
            self.close(owner, serial);
        }
    }

    /// Records a step of a search, with its cost. `found`: its payments, of which watches are notified. Each owner is
    /// charged for its own, so that many watches of one key do not delay others.
    pub(super) fn searched(&mut self, searching: Searching, cost: u64, found: usize) {
        for to in &searching.to {
            self.charge(to.owner, (found * to.watches.len()) as u64 * NOTIFY);
        }
        if let Some(payer) = searching.to.first() {
            let (owner, serial) = (payer.owner, payer.serial);
            if let Some(task) = self.task(owner, serial) {
                task.is_searching = false;
            }
            self.charge(owner, cost);
            self.update(owner);
        }
        let is_over = searching.search.as_ref().is_none_or(|search| search.is_done());
        if is_over {
            for to in searching.to {
                self.close(to.owner, to.serial);
            }
        } else {
            self.requeue(searching);
        }
    }

    fn next_of(&mut self, ring: Ring) -> Option<Piece> {
        let (lead, mut scan) = loop {
            let owner = self.rings.get_mut(ring as usize)?.pick()?;
            let task = self.owners.get_mut(&owner)?.first_with_work(ring);
            let Some(task) = task else {
                self.update(owner);
                continue;
            };
            if task.may_search()
                && let Some(search) = task.searches.pop_front()
            {
                task.is_searching = true;
                self.update(owner);
                return Some(Piece::Search(search));
            }
            if !task.batch.is_cancelled() {
                let end = task.batch.rows.len().min(task.row + task.batch.chunk);
                let scan = Scan {
                    batch: Arc::clone(&task.batch),
                    rows: task.row..end,
                    columns: Vec::new(),
                    of: Vec::new(),
                };
                break (owner, scan);
            }
            task.row = task.batch.rows.len();
            self.update(owner);
        };
        let co_scheduled = self.rings.get(ring as usize)?.co_scheduled(MAX_CO_SCHEDULED);
        let others = co_scheduled.into_iter().filter(|owner| *owner != lead);
        let (mut columns, mut cost) = (HashMap::new(), 0);
        for owner in std::iter::once(lead).chain(others) {
            let waits_for_the_same = |task: &&mut Task| {
                let same = Arc::ptr_eq(&scan.batch, &task.batch) && scan.rows.start == task.row;
                same && !task.is_scanned()
            };
            let task = self
                .owners
                .get_mut(&owner)
                .and_then(|tasks| tasks.first_with_work(ring));
            let Some(task) = task.filter(waits_for_the_same) else {
                continue;
            };
            let own = task.take(&mut scan, owner, &mut columns, PIECE - cost);
            task.open += 1;
            task.scanning += 1;
            scan.of.push((owner, task.serial));
            cost += own;
            self.charge(owner, own);
            self.update(owner);
            if cost >= PIECE {
                break;
            }
        }
        Some(Piece::Scan(scan))
    }

    /// Queues a search for the owner that is charged for it: the first that has not left.
    fn requeue(&mut self, mut searching: Searching) {
        searching.to.retain(|to| self.task(to.owner, to.serial).is_some());
        let Some(payer) = searching.to.first().cloned() else {
            return;
        };
        if let Some(task) = self.task(payer.owner, payer.serial) {
            // A continued search is the first of its row.
            let row = searching.row + usize::from(searching.search.is_none());
            let place = task.searches.partition_point(|other| other.row < row);
            task.searches.insert(place, searching);
            self.update(payer.owner);
        }
    }

    /// A piece or a search of this task is finished.
    fn close(&mut self, owner: Owner, serial: u64) {
        if let Some(task) = self.task(owner, serial) {
            task.open -= 1;
            self.update(owner);
        }
    }

    /// Ends the finished tasks of this owner, and updates its membership in the rings.
    fn update(&mut self, owner: Owner) {
        let Some(tasks) = self.owners.get_mut(&owner) else {
            return;
        };
        let address = tasks.address;
        let mut over = Vec::new();
        for tasks in &mut tasks.by_class {
            while tasks.front().is_some_and(Task::is_over) {
                over.extend(tasks.pop_front());
            }
        }
        for task in &over {
            if task.batch.class != Class::Backfill {
                tasks.rows = tasks.rows.saturating_sub(task.batch.rows.len());
            }
            if task.batch.is_reported() {
                self.ended.push((owner, Arc::clone(&task.batch)));
            }
        }
        for (ring, fair) in [Ring::Express, Ring::Live, Ring::Backfill]
            .into_iter()
            .zip(&mut self.rings)
        {
            if tasks.first_with_work(ring).is_some() {
                fair.enter(address, owner);
            } else {
                fair.set_idle(address, owner);
            }
        }
        if tasks.by_class.iter().all(VecDeque::is_empty) {
            self.owners.remove(&owner);
        }
        for task in &over {
            self.forget_backfill(address, task);
        }
    }

    fn charge(&mut self, owner: Owner, cost: u64) {
        let Some(address) = self.owners.get(&owner).map(|tasks| tasks.address) else {
            return;
        };
        for ring in &mut self.rings {
            ring.charge(address, owner, cost);
        }
    }

    fn task(&mut self, owner: Owner, serial: u64) -> Option<&mut Task> {
        let tasks = self.owners.get_mut(&owner)?;
        tasks
            .by_class
            .iter_mut()
            .filter_map(VecDeque::front_mut)
            .find(|task| task.serial == serial)
    }

    fn forget_backfill(&mut self, address: IpAddr, task: &Task) {
        if task.batch.class != Class::Backfill {
            return;
        }
        let cost = task.cost();
        self.backfill_of_all = self.backfill_of_all.saturating_sub(cost);
        if let Some(waiting) = self.backfill.get_mut(&address) {
            *waiting = waiting.saturating_sub(cost);
            if *waiting == 0 {
                self.backfill.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
