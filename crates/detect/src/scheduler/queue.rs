//! What waits to be scanned, and what is scanned next: a function of what was pushed and finished, without I/O.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, Weak};

use sdk_relay_bip352::{Prepared, Search};

use super::fair::Fair;
use super::{Batch, Class, Client, Keys, NOTIFY, Owner, PIECE};

/// Rows of the mempool and of blocks that may wait for one connection: 80 full blocks of the main network. A connection that is further behind
/// is closed: it has more keys than its share of the processors can scan.
const ROWS_BEHIND: usize = 200_000;
/// Batches that may wait for one connection, for the same reason: they can be small.
const BATCHES_BEHIND: usize = 4_096;
/// Cost of the backfill that may wait for one address: a minute of one processor. A watch beyond it is refused.
const BACKFILL_PER_ADDRESS: u64 = 600_000_000;
/// The same for all addresses together: ten minutes.
const BACKFILL: u64 = 6_000_000_000;
/// Of so many pieces of the general threads one goes to backfill, where some waits: the mempool of a new watch is not put off for ever by others' live work.
const BACKFILL_TURN: u64 = 8;

/// Owners that are asked whether they wait for the same rows.
const COMPANIONS: usize = 1_024;

/// The owner is too far behind: its batch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind;

/// Everything that waits.
#[derive(Debug)]
pub(super) struct Queue {
    owners: HashMap<Owner, Tasks>,
    rings: [Fair; 3],
    /// Cost of backfill that waits, by address.
    backfill: HashMap<IpAddr, u64>,
    backfill_of_all: u64,
    /// Tasks that have ended, were waited for, and were not reported.
    ended: Vec<(Owner, Arc<Batch>)>,
    serial: u64,
    turn: u64,
}

/// Owners with work for the express thread (the mempool), for the general threads (mempool and blocks), and with backfill.
#[derive(Clone, Copy)]
enum Ring {
    Express,
    Live,
    Backfill,
}

#[derive(Debug)]
struct Tasks {
    address: IpAddr,
    /// By class. Only the first of each is worked on.
    by_class: [VecDeque<Task>; 3],
    /// Rows of the live ones.
    rows: usize,
}

/// A batch for an owner.
#[derive(Debug)]
struct Task {
    serial: u64,
    batch: Arc<Batch>,
    keys: Keys,
    /// The next row, and the next of the keys for it.
    row: usize,
    key: usize,
    /// Pieces and searches that are not finished.
    open: usize,
    /// Pieces that are being scanned.
    scanning: usize,
    /// Searches that wait, and that this owner pays for, in the order of the rows. They begin when all rows are scanned, one after the other, so that
    /// payments are reported in the order of the rows.
    searches: VecDeque<Searching>,
    is_searching: bool,
}

/// A row that holds something, and is searched in steps.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) batch: Arc<Batch>,
    pub(super) row: usize,
    pub(super) receiver: Weak<Prepared>,
    /// Its state, once it has begun.
    pub(super) search: Option<Box<Search>>,
    /// For whom; the first one pays.
    to: Vec<Target>,
}

impl Searching {
    pub(super) fn watches(&self) -> Vec<u64> {
        self.to.iter().flat_map(|to| to.watches.iter().copied()).collect()
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.to.iter().map(|to| to.owner)
    }
}

#[derive(Clone, Debug)]
struct Target {
    owner: Owner,
    serial: u64,
    watches: Arc<[u64]>,
}

/// Work for one thread.
#[derive(Debug)]
pub(super) enum Piece {
    /// Look for rows that hold something.
    Scan(Scan),
    /// Go on with a search.
    Search(Searching),
}

/// Some rows of a batch, for some keys.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) batch: Arc<Batch>,
    pub(super) rows: Range<usize>,
    pub(super) columns: Vec<Column>,
    /// Whose tasks this is a part of, by owner and serial.
    of: Vec<(Owner, u64)>,
}

/// Keys, scanned once for everybody who has them.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) receiver: Arc<Prepared>,
    to: Vec<Target>,
}

impl Scan {
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.of.iter().map(|(owner, _)| *owner)
    }
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
    /// Has the batch scanned for this client. Backfill is always taken (see [`Queue::is_busy`]); of the rest nothing is kept when it is refused.
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
        self.look_at(client.owner);
        Ok(())
    }

    /// Whether so much backfill waits for this address, or for all, that no more should be pushed.
    pub(super) fn is_busy(&self, address: IpAddr) -> bool {
        self.backfill_of_all >= BACKFILL
            || self
                .backfill
                .get(&address)
                .is_some_and(|cost| *cost >= BACKFILL_PER_ADDRESS)
    }

    /// Drops everything that waits for this owner. What others wait for with it goes on at their cost.
    pub(super) fn leave(&mut self, owner: Owner) {
        let Some(tasks) = self.owners.remove(&owner) else {
            return;
        };
        for ring in &mut self.rings {
            ring.rest(tasks.address, owner);
        }
        for task in tasks.by_class.into_iter().flatten() {
            self.forget_backfill(tasks.address, &task);
            for search in task.searches {
                self.hand_on(search);
            }
        }
    }

    /// The next piece of work. `express`: only what entered the mempool.
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

    /// These pairs of row and column deserve a search.
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
            self.hand_on(Searching {
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

    /// A search was worked on, at this cost.
    /// `found`: payments that its watches are notified of. Each owner pays for its own, so that many watches of one key do not delay others.
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
            self.look_at(owner);
        }
        let is_over = searching.search.as_ref().is_none_or(|search| search.is_done());
        if is_over {
            for to in searching.to {
                self.close(to.owner, to.serial);
            }
        } else {
            self.hand_on(searching);
        }
    }

    fn next_of(&mut self, ring: Ring) -> Option<Piece> {
        let (lead, mut scan) = loop {
            let owner = self.rings.get_mut(ring as usize)?.pick()?;
            let task = self.owners.get_mut(&owner)?.first_with_work(ring);
            let Some(task) = task else {
                self.look_at(owner);
                continue;
            };
            if task.may_search()
                && let Some(search) = task.searches.pop_front()
            {
                task.is_searching = true;
                self.look_at(owner);
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
            self.look_at(owner);
        };
        let companions = self.rings.get(ring as usize)?.companions(COMPANIONS);
        let others = companions.into_iter().filter(|owner| *owner != lead);
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
            self.look_at(owner);
            if cost >= PIECE {
                break;
            }
        }
        Some(Piece::Scan(scan))
    }

    /// Queues a search for the owner that pays for it: the first that has not left.
    fn hand_on(&mut self, mut searching: Searching) {
        searching.to.retain(|to| self.task(to.owner, to.serial).is_some());
        let Some(payer) = searching.to.first().cloned() else {
            return;
        };
        if let Some(task) = self.task(payer.owner, payer.serial) {
            // One that goes on is the first of its row.
            let row = searching.row + usize::from(searching.search.is_none());
            let place = task.searches.partition_point(|other| other.row < row);
            task.searches.insert(place, searching);
            self.look_at(payer.owner);
        }
    }

    /// A piece or a search of this task is finished.
    fn close(&mut self, owner: Owner, serial: u64) {
        if let Some(task) = self.task(owner, serial) {
            task.open -= 1;
            self.look_at(owner);
        }
    }

    /// Ends the tasks of this owner that are over, and has it in the rings where there is work for it.
    fn look_at(&mut self, owner: Owner) {
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
            if task.batch.mark.is_some() {
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
                fair.rest(address, owner);
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

impl Tasks {
    fn of(&mut self, class: Class) -> &mut VecDeque<Task> {
        let [mempool, block, backfill] = &mut self.by_class;
        match class {
            Class::Mempool => mempool,
            Class::Block => block,
            Class::Backfill => backfill,
        }
    }

    /// The first task that a thread can do something for, of the classes of a ring.
    fn first_with_work(&mut self, ring: Ring) -> Option<&mut Task> {
        let [mempool, block, backfill] = &mut self.by_class;
        let classes = match ring {
            Ring::Express => [Some(mempool), None],
            Ring::Live => [Some(mempool), Some(block)],
            Ring::Backfill => [Some(backfill), None],
        };
        let mut first = classes.into_iter().flatten().filter_map(VecDeque::front_mut);
        first.find(|task| task.has_work())
    }

    /// Adds the keys to a task for this batch that has not begun, so that they share its pieces.
    fn join(&mut self, batch: &Arc<Batch>, keys: &Keys) -> bool {
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

    /// What is waiting for this owner of this batch of backfill.
    fn backfill_cost(&self, batch: &Arc<Batch>) -> u64 {
        let [_, _, backfill] = &self.by_class;
        let of_batch = backfill.iter().filter(|task| Arc::ptr_eq(&task.batch, batch));
        of_batch.map(Task::cost).sum()
    }

    fn is_behind(&self) -> bool {
        let [mempool, block, _] = &self.by_class;
        self.rows > ROWS_BEHIND || mempool.len() + block.len() > BATCHES_BEHIND
    }
}

impl Task {
    fn new(serial: u64, batch: &Arc<Batch>, keys: &Keys) -> Self {
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

    fn is_untouched(&self) -> bool {
        self.row == 0 && self.key == 0 && self.open == 0
    }

    fn is_scanned(&self) -> bool {
        self.keys.is_empty() || self.row >= self.batch.rows.len()
    }

    fn has_work(&self) -> bool {
        !self.is_scanned() || (self.may_search() && !self.searches.is_empty())
    }

    fn may_search(&self) -> bool {
        self.is_scanned() && self.scanning == 0 && !self.is_searching
    }

    fn is_over(&self) -> bool {
        self.open == 0 && self.is_scanned()
    }

    fn cost(&self) -> u64 {
        self.keys.iter().map(|entry| entry.cost).sum::<u64>() * self.batch.rows.len() as u64
    }

    /// Adds the next of its keys to the piece, up to this cost, and one at least. Gives what they cost.
    fn take(&mut self, scan: &mut Scan, owner: Owner, columns: &mut HashMap<*const Prepared, usize>, most: u64) -> u64 {
        let rows = scan.rows.len() as u64;
        let mut cost = 0;
        while let Some(entry) = self.keys.get(self.key) {
            if cost > 0 && cost + entry.cost * rows > most {
                break;
            }
            self.key += 1;
            // The watch has ended otherwise.
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

#[cfg(test)]
mod tests;
