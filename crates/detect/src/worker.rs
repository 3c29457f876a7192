//! The detection task: one chain event, command or scan result at a time.

mod chain_events;
mod commit;
mod detached;
mod spends;
mod watching;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bitcoin::{BlockHash, ScriptBuf, Txid};
use sdk_relay_chain::Observed;
use sdk_relay_scheduler::{Batch as Rows, Outcome, Owner, Scheduler};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::commands::{Command, Detection};
use super::ledger::Ledger;
use super::look_up::Unchecked;
use super::mempool::{Mempool, Segment};
use super::own_record::Output;
use super::parts::{Parts, StartError};
use super::recent_spends::RecentSpends;
use super::scan_queue::ScanQueue;
use super::spend_queue::SpendQueue;
use super::watches::Watches;

/// Outcomes of scans processed while a chain event waits: about 10 ms, if each has payments for the maximum number of
/// watches.
const OUTCOMES_PER_EVENT: u32 = 16;

pub(super) struct Worker {
    parts: Parts,
    detection: Detection,
    /// The plain address of the relay's own wallet, if it has one.
    own_address: Option<Arc<str>>,
    ledger: Ledger,
    watches: Watches,
    /// The newest blocks of the chain as of the last commit.
    recent: BTreeMap<u32, BlockHash>,
    recent_spends: RecentSpends,
    /// Scans for the scanner of histories.
    history: Arc<ScanQueue>,
    /// Outputs whose spends are to be looked up.
    spends: Arc<SpendQueue>,
    /// Blocks whose spends of the relay's own wallets are to be looked up.
    own_unchecked: Unchecked,
    wallet_scripts: HashSet<ScriptBuf>,
    mempool: Mempool,
    /// The batches of the newest snapshot of the mempool: watches registered while it is current share them.
    snapshot: Vec<(Segment, Arc<Rows>)>,
    scheduler: Scheduler,
    next_event_id: u64,
    /// When the follower learned of the chain event that is being applied, and when it was available.
    observed: Option<(Instant, Instant)>,
    /// Blocks that are being scanned for watches. Their events are committed.
    block_scans: Vec<BlockScan>,
    /// When the log last said that the node does not name spends.
    unnamed_warning: Option<Instant>,
}

/// A block that is being scanned for watches.
struct BlockScan {
    height: u32,
    hash: BlockHash,
    rows: Arc<Rows>,
    txids: HashSet<Txid>,
    /// Owners for whom the scan is not finished.
    waiting: HashSet<Owner>,
}

impl Worker {
    pub(super) fn new(
        parts: Parts,
        detection: Detection,
        (history, spends): (Arc<ScanQueue>, Arc<SpendQueue>),
        scheduler: Scheduler,
    ) -> Result<Self, StartError> {
        let outputs = parts.store.payments()?.into_iter().filter_map(|(outpoint, bytes)| {
            Output::decode(&bytes)
                .inspect_err(
                    |error| tracing::error!(%outpoint, %error, "ignoring a stored payment that cannot be decoded"),
                )
                .ok()
                .map(|output| (outpoint, output))
        });
        let ledger = Ledger::of(outputs);
        Ok(Self {
            own_address: parts
                .own
                .as_ref()
                .map(|own| own.address(parts.network.silent_payment()).to_string().into()),
            next_event_id: parts.store.next_event_id()?,
            recent: parts.store.recent_blocks()?.into_iter().collect(),
            recent_spends: RecentSpends::default(),
            history,
            spends,
            own_unchecked: Unchecked::default(),
            parts,
            detection,
            ledger,
            watches: Watches::default(),
            wallet_scripts: HashSet::new(),
            mempool: Mempool::default(),
            snapshot: Vec::new(),
            scheduler,
            block_scans: Vec::new(),
            observed: None,
            unnamed_warning: None,
        })
    }

    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<Observed>,
        mut commands: mpsc::Receiver<Command>,
        mut outcomes: mpsc::Receiver<Outcome>,
        stop: CancellationToken,
    ) {
        self.check_own();
        let mut first_scripts = self.parts.wallet_scripts.take();
        let mut outcomes_in_a_row = 0;
        loop {
            let chain_waits = first_scripts.is_none() && !events.is_empty();
            let next_end = self.watches.next_end();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Commands first, so that a watch is notified of a payment after its registration. They are handled
                // from the start, with or without the node.
                Some(command) = commands.recv() => self.handle_command(command, &stop).await,
                // Before new scans are pushed, so that the scheduler never waits for the chain; bounded, so that the
                // chain never waits for many outcomes.
                Some(outcome) = outcomes.recv(), if !chain_waits || outcomes_in_a_row < OUTCOMES_PER_EVENT => {
                    outcomes_in_a_row = if chain_waits { outcomes_in_a_row + 1 } else { 0 };
                    self.scanned(outcome);
                }
                () = until(next_end), if next_end.is_some() => self.expire(),
                scripts = scripts(&mut first_scripts), if first_scripts.is_some() => {
                    first_scripts = None;
                    self.wallet_scripts = scripts;
                }
                event = events.recv(), if first_scripts.is_none() => match event {
                    Some(observed) => {
                        outcomes_in_a_row = 0;
                        self.observed = Some((observed.noticed, observed.available));
                        self.apply(observed.event, &stop).await;
                        self.observed = None;
                    }
                    None => break,
                },
            }
            if self.detection.take_left_without_command() {
                self.watches.forget_dead();
            }
            self.drop_scans();
            self.parts.vitals.set_watches(self.watches.len());
            self.measure_detached();
        }
        self.watches.stop_detached();
        // The threads of the scheduler may wait for capacity of this queue.
        drop(outcomes);
    }

    async fn handle_command(&mut self, command: Command, stop: &CancellationToken) {
        match command {
            Command::Watch(order, reply) => self.watch(*order, reply),
            Command::Attach(order, reply) => self.attach(&order, reply),
            Command::Detached { watch_id, token, reply } => self.detached(&watch_id, &token, reply),
            Command::EndDetached { watch_id, token, reply } => self.end_detached(&watch_id, &token, reply),
            Command::Unwatch { watch_id, ended } => {
                self.watches.remove(&watch_id);
                self.history.remove(&watch_id);
                self.spends.remove(&watch_id);
                #[expect(clippy::let_underscore_must_use, reason = "the caller may have stopped waiting")]
                let _ = ended.send(());
            }
            Command::Left(mailbox) => {
                self.watches.remove_of(&mailbox);
                self.history.remove_of(&mailbox);
            }
            Command::Scanned(scanned_ranges, reply) => {
                let next_scans = scanned_ranges
                    .iter()
                    .map(|scanned| self.apply_scanned(scanned))
                    .collect();
                #[expect(
                    clippy::let_underscore_must_use,
                    reason = "without a scanner the relay is shutting down"
                )]
                let _ = reply.send(next_scans);
            }
            Command::LookedUp(looked_up, applied) => {
                self.apply_looked_up(*looked_up, stop).await;
                #[expect(
                    clippy::let_underscore_must_use,
                    reason = "without a scanner the relay is shutting down"
                )]
                let _ = applied.send(());
            }
            Command::Named(named, applied) => {
                self.apply_named(&named);
                #[expect(
                    clippy::let_underscore_must_use,
                    reason = "without a scanner the relay is shutting down"
                )]
                let _ = applied.send(());
            }
            Command::Log(event) => {
                self.log(*event, stop).await;
            }
            Command::WalletScripts(scripts) => self.wallet_scripts = scripts,
        }
    }

    /// Height of the newest block of detection.
    fn tip(&self) -> Option<u32> {
        self.recent.last_key_value().map(|(height, _)| *height)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.history.close();
    }
}

/// Waits until then; forever without a time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The scripts of the node's wallet, once they are known; none if the sender is dropped, as on a node without wallets.
async fn scripts(first: &mut Option<oneshot::Receiver<HashSet<ScriptBuf>>>) -> HashSet<ScriptBuf> {
    match first {
        Some(scripts) => scripts.await.unwrap_or_else(|_| HashSet::new()),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
