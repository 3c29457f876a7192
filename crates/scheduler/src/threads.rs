//! The threads that scan.

use std::net::IpAddr;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use sdk_relay_bip352::{EligibleTx, Match, Prepared, Scanner, Search, wipe_stack_below};
use sdk_relay_index::lower_priority;
use tokio::sync::mpsc;

use super::pieces::{Piece, Scan, Searching};
use super::queue::{Behind, Queue};
use super::{Batch, Client, Outcome, Owner, PIECE};
use crate::SpawnThread;

/// Outcomes that detection has not taken yet. Threads wait when there are more, so that nothing piles up while the
/// store fails. One is about a transaction, of which 2,300 outputs at most may pay a watch where nodes relay it, 200
/// KB: 6 MB in all. Few, so that what is found for one client next does not wait long behind what was found for
/// another.
const OUTCOMES_AHEAD: usize = 32;
/// Watches of one outcome: some 0.5 ms of detection for each payment.
const WATCHES_OF_OUTCOME: usize = 64;
/// How much the general threads give way. One more thread, for the mempool alone, does not: a payment of another client
/// is reported while all others scan a block.
const NICE: i32 = 5;

/// Starts work and cancels it. Dropped, it ends its threads after the pieces that are being worked on; their owner
/// waits for them.
#[derive(Debug)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    is_closed: bool,
}

impl Scheduler {
    /// Starts one thread for each processor, and one for the mempool alone.
    pub fn start(scanner: &Scanner, threads: &dyn SpawnThread) -> std::io::Result<(Self, mpsc::Receiver<Outcome>)> {
        let (outcomes, receiver) = mpsc::channel(OUTCOMES_AHEAD);
        let scheduler = Self { shared: Arc::default() };
        for n in 0..=available_parallelism().map_or(1, NonZero::get) {
            let express = n == 0;
            let thread = Thread {
                shared: Arc::clone(&scheduler.shared),
                scanner: scanner.clone(),
                outcomes: outcomes.clone(),
            };
            let work = move || {
                if !express {
                    lower_priority(NICE);
                }
                thread.run(express);
            };
            threads.spawn_thread("scan", Box::new(work))?;
        }
        Ok((scheduler, receiver))
    }

    /// Has the batch scanned for these clients. Gives those that are too far behind, for which it is not.
    pub fn push<'c>(&self, batch: &Arc<Batch>, clients: impl IntoIterator<Item = &'c Client>) -> Vec<Owner> {
        let mut state = self.shared.lock();
        let refused = |client: &&Client| state.queue.push(batch, client) == Err(Behind);
        let behind = clients.into_iter().filter(refused).map(|client| client.owner).collect();
        drop(state);
        self.shared.work.notify_all();
        behind
    }

    /// Whether so much backfill waits for this address, or for all, that no more should be pushed.
    pub fn is_busy(&self, address: IpAddr) -> bool {
        self.shared.lock().queue.is_busy(address)
    }

    /// Drops everything that waits for this owner.
    pub fn leave(&self, owner: Owner) {
        self.shared.lock().queue.leave(owner);
        // What others share with it has changed hands.
        self.shared.work.notify_all();
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// A thread that panicked has left the queue whole: it computes outside the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread {
    shared: Arc<Shared>,
    scanner: Scanner,
    outcomes: mpsc::Sender<Outcome>,
}

/// Detection has ended.
struct Ended;

impl Thread {
    fn run(&self, express: bool) {
        let mut state = self.shared.lock();
        while !state.is_closed {
            let piece = state.queue.next(express);
            let ended = state.queue.ended();
            if piece.is_none() && ended.is_empty() {
                state = self.shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            if self.report(ended).is_err() || piece.is_some_and(|piece| self.work(piece).is_err()) {
                return;
            }
            state = self.shared.lock();
        }
    }

    /// Whatever it finds is reported before the queue knows that it is finished: the next batch of an owner begins
    /// after that.
    fn work(&self, piece: Piece) -> Result<(), Ended> {
        match piece {
            Piece::Scan(scan) => {
                let found = catch_unwind(AssertUnwindSafe(|| self.suspects(&scan)));
                let found = self.unless_failed(found, || scan.owners().collect())?;
                self.shared.lock().queue.scanned(scan, found);
            }
            Piece::Search(mut searching) => {
                let searched = catch_unwind(AssertUnwindSafe(|| search(&mut searching)));
                wipe_stack_below();
                if searched.is_err() {
                    searching.search = None;
                }
                let (matches, cost) = self.unless_failed(searched, || searching.owners().collect())?;
                if !matches.is_empty() {
                    self.report_found(&searching, &matches)?;
                }
                self.shared.lock().queue.searched(searching, cost, matches.len());
            }
        }
        // There may be searches now, the next batch of an owner, or ends to report.
        self.shared.work.notify_all();
        Ok(())
    }

    fn suspects(&self, scan: &Scan) -> Vec<(usize, usize)> {
        let receivers: Vec<&Prepared> = scan.columns.iter().map(|column| &*column.receiver).collect();
        let rows = scan.batch.rows.get(scan.rows.clone()).unwrap_or_default();
        let rows: Vec<&EligibleTx> = rows.iter().map(|row| &row.eligible).collect();
        self.scanner.suspects(&receivers, &rows)
    }

    /// An engine does not panic; if one did, the connections of its owners would be closed.
    fn unless_failed<T: Default>(
        &self,
        result: thread::Result<T>,
        owners: impl FnOnce() -> Vec<Owner>,
    ) -> Result<T, Ended> {
        let Ok(value) = result else {
            tracing::error!("a scan for watches failed; closing their connections");
            for owner in owners() {
                self.send(Outcome::Failed { owner })?;
            }
            return Ok(T::default());
        };
        Ok(value)
    }

    /// In small outcomes, between which detection sees to the chain.
    fn report_found(&self, searching: &Searching, matches: &[Match]) -> Result<(), Ended> {
        let watches = searching.watches();
        watches.chunks(WATCHES_OF_OUTCOME).try_for_each(|watches| {
            self.send(Outcome::Found {
                batch: Arc::clone(&searching.batch),
                row: searching.row,
                watches: watches.to_vec(),
                matches: matches.to_vec(),
            })
        })
    }

    fn report(&self, ended: Vec<(Owner, Arc<Batch>)>) -> Result<(), Ended> {
        ended
            .into_iter()
            .try_for_each(|(owner, batch)| self.send(Outcome::Done { owner, batch }))
    }

    fn send(&self, outcome: Outcome) -> Result<(), Ended> {
        self.outcomes.blocking_send(outcome).map_err(|_| Ended)
    }
}

/// Goes on with a search for one piece, below the caller's frame. Gives what it has found, and what that has cost.
#[inline(never)]
fn search(searching: &mut Searching) -> (Vec<Match>, u64) {
    let row = searching.batch.rows.get(searching.row).map(Arc::clone);
    let receiver = searching.receiver.upgrade().filter(|_| !searching.batch.is_cancelled());
    let (Some(row), Some(receiver)) = (row, receiver) else {
        // The watch has ended, or the block has left the chain.
        searching.search = None;
        return (Vec::new(), 0);
    };
    let before = searching.search.as_ref().map_or(0, |search| search.spent());
    let search = searching
        .search
        .get_or_insert_with(|| Box::new(Search::new(&receiver, &row.eligible)));
    let matches = search.advance(&receiver, &row.eligible, PIECE);
    (matches, search.spent() - before)
}
