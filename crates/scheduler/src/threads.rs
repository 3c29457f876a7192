//! The threads that scan.

use std::net::IpAddr;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use sdk_relay_bip352::{EligibleTx, Match, Prepared, Scanner, Search, wipe_stack_below};
use sdk_relay_index::lower_priority;
use sdk_relay_platform::simulation;
use tokio::sync::{mpsc, watch};
use tokio::task::coop::consume_budget;

use super::pieces::{Piece, Scan, Searching};
use super::queue::{Behind, Queue};
use super::{Batch, Client, Outcome, Owner, PIECE, ScanMetrics};
use crate::SpawnThread;

/// Capacity of the queue of outcomes to detection. Threads wait while it is full, so that memory stays bounded while
/// the store fails. An outcome is about one transaction, of which at most 2,300 outputs (standardness) pay a watch, 200
/// KB: 6 MB in total. Small, so that an outcome of one client does not wait long behind those of another.
const OUTCOMES_AHEAD: usize = 32;
/// Largest number of watches in one outcome: about 0.5 ms of detection per payment.
const WATCHES_OF_OUTCOME: usize = 64;
/// Nice value of the general threads. A further thread, for the mempool only, has normal priority, so that mempool
/// payments are reported while all others scan a block.
const NICE: i32 = 5;

/// Queues and cancels scans. On drop, the threads end after their current pieces; their owner joins them.
#[derive(Debug)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Changes when there may be more to do.
    work: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    is_closed: bool,
}

impl Scheduler {
    /// Starts one thread for each processor, and one for the mempool only.
    pub fn start(
        scanner: &Scanner,
        threads: &dyn SpawnThread,
        metrics: &ScanMetrics,
    ) -> std::io::Result<(Self, mpsc::Receiver<Outcome>)> {
        let (outcomes, receiver) = mpsc::channel(OUTCOMES_AHEAD);
        let scheduler = Self { shared: Arc::default() };
        for n in 0..=available_parallelism().map_or(1, NonZero::get) {
            let express = n == 0;
            let thread = Thread {
                shared: Arc::clone(&scheduler.shared),
                scanner: scanner.clone(),
                outcomes: outcomes.clone(),
                metrics: metrics.clone(),
            };
            threads.spawn_thread("scan", Box::pin(thread.run(express)))?;
        }
        Ok((scheduler, receiver))
    }

    /// Queues the batch for these clients. Returns those that are too far behind, for which it is refused.
    pub fn push<'c>(&self, batch: &Arc<Batch>, clients: impl IntoIterator<Item = &'c Client>) -> Vec<Owner> {
        let mut state = self.shared.lock();
        let refused = |client: &&Client| state.queue.push(batch, client) == Err(Behind);
        let behind = clients.into_iter().filter(refused).map(|client| client.owner).collect();
        drop(state);
        self.shared.work.send_replace(());
        behind
    }

    /// Whether the queue of backfill of this address, or of all, is full.
    pub fn is_busy(&self, address: IpAddr) -> bool {
        self.shared.lock().queue.is_busy(address)
    }

    /// Drops the work of this owner.
    pub fn leave(&self, owner: Owner) {
        self.shared.lock().queue.leave(owner);
        // Shared work may have moved to other owners.
        self.shared.work.send_replace(());
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.send_replace(());
    }
}

impl Shared {
    /// The queue is consistent after a panic of a thread: threads compute outside the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Thread {
    shared: Arc<Shared>,
    scanner: Scanner,
    outcomes: mpsc::Sender<Outcome>,
    metrics: ScanMetrics,
}

/// What a thread does next.
struct Step {
    piece: Option<Piece>,
    /// Batches that are scanned for their owners, to be reported first.
    ended: Vec<(Owner, Arc<Batch>)>,
}

/// Detection has ended.
struct Ended;

impl Thread {
    /// The loop of a thread. It blocks where it computes, and awaits only the next work and capacity in the channel of
    /// outcomes.
    async fn run(self, express: bool) {
        // The threads of a simulation are tasks of one thread.
        if !express && !simulation::is_active() {
            lower_priority(NICE);
        }
        let mut work = self.shared.work.subscribe();
        while let Some(Step { piece, ended }) = self.next(express, &mut work) {
            if piece.is_none() && ended.is_empty() {
                // The sender is in `shared`, so that this never fails.
                if work.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if self.report(ended).await.is_err() {
                return;
            }
            if let Some(piece) = piece
                && self.work(piece).await.is_err()
            {
                return;
            }
            consume_budget().await;
        }
    }

    /// What to do next, if anything. `None`: the scheduler was dropped. What changes after this is seen by `work`.
    fn next(&self, express: bool, work: &mut watch::Receiver<()>) -> Option<Step> {
        work.mark_unchanged();
        let mut state = self.shared.lock();
        (!state.is_closed).then(|| Step {
            piece: state.queue.next(express),
            ended: state.queue.ended(),
        })
    }

    /// Matches are reported before the piece is marked as finished, because the next batch of an owner starts after
    /// that.
    async fn work(&self, piece: Piece) -> Result<(), Ended> {
        match piece {
            Piece::Scan(scan) => {
                let found = catch_unwind(AssertUnwindSafe(|| self.suspects(&scan)));
                let found = self.unless_failed(found, || scan.owners().collect()).await?;
                self.shared.lock().queue.scanned(scan, found);
            }
            Piece::Search(mut searching) => {
                let searched = catch_unwind(AssertUnwindSafe(|| search(&mut searching)));
                wipe_stack_below();
                if searched.is_err() {
                    searching.search = None;
                }
                let (matches, cost) = self.unless_failed(searched, || searching.owners().collect()).await?;
                if !matches.is_empty() {
                    self.report_found(&searching, &matches).await?;
                }
                self.shared.lock().queue.searched(searching, cost, matches.len());
            }
        }
        // There may be new searches, a next batch of an owner, or ended tasks to report.
        self.shared.work.send_replace(());
        Ok(())
    }

    fn suspects(&self, scan: &Scan) -> Vec<(usize, usize)> {
        let receivers: Vec<&Prepared> = scan.columns.iter().map(|column| &*column.receiver).collect();
        let rows = scan.batch.rows.get(scan.rows.clone()).unwrap_or_default();
        let rows: Vec<&EligibleTx> = rows.iter().map(|row| &row.eligible).collect();
        self.scanner.suspects(&receivers, &rows)
    }

    /// An engine does not panic; if one did, the connections of the owners would be closed.
    async fn unless_failed<T: Default>(
        &self,
        result: thread::Result<T>,
        owners: impl FnOnce() -> Vec<Owner>,
    ) -> Result<T, Ended> {
        let Ok(value) = result else {
            tracing::error!("a scan for watches failed; closing their connections");
            for owner in owners() {
                self.send(Outcome::Failed { owner }).await?;
            }
            return Ok(T::default());
        };
        Ok(value)
    }

    /// Reports small outcomes, so that detection can process the chain in between.
    async fn report_found(&self, searching: &Searching, matches: &[Match]) -> Result<(), Ended> {
        for watches in searching.watches().chunks(WATCHES_OF_OUTCOME) {
            let found = Outcome::Found {
                batch: Arc::clone(&searching.batch),
                row: searching.row,
                watches: watches.to_vec(),
                matches: matches.to_vec(),
            };
            self.send(found).await?;
        }
        Ok(())
    }

    async fn report(&self, ended: Vec<(Owner, Arc<Batch>)>) -> Result<(), Ended> {
        for (owner, batch) in ended {
            self.metrics.scanned(&batch);
            self.send(Outcome::Done { owner, batch }).await?;
        }
        Ok(())
    }

    async fn send(&self, outcome: Outcome) -> Result<(), Ended> {
        self.outcomes.send(outcome).await.map_err(|_| Ended)
    }
}

/// Continues a search for one piece; returns its matches and their cost. Not inlined: the caller zeroises the stack
/// below its frame.
#[inline(never)]
fn search(searching: &mut Searching) -> (Vec<Match>, u64) {
    let row = searching.batch.rows.get(searching.row).map(Arc::clone);
    let receiver = searching.receiver.upgrade().filter(|_| !searching.batch.is_cancelled());
    let (Some(row), Some(receiver)) = (row, receiver) else {
        // The watch has ended, or the block was disconnected.
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
