//! Registers watches, and schedules scans of the mempool, blocks and histories for them.

use std::sync::Arc;

use bitcoin::{OutPoint, Txid};
use sdk_relay_chain::BlockRef;
use tokio::sync::oneshot;

use super::Worker;
use crate::commands::{Registered, Registration, WatchRefused};
use crate::history_scan::{NextScan, ScannedRange};
use crate::mempool::Mempool;
use crate::recent_spends::RecentSpends;
use crate::rows::Place;
use crate::spend::Spend;
use crate::watch::Spent;
use crate::watch_history::{self, HistoryPlan};
use sdk_relay_scheduler::Row;
use sdk_relay_scheduler::{Batch as Rows, Class, Client, Outcome};

impl Worker {
    pub(super) fn watch(
        &mut self,
        registration: Registration,
        reply: oneshot::Sender<Result<Registered, WatchRefused>>,
    ) {
        let Registration { order, detach } = registration;
        if reply.is_closed() {
            // The request has timed out, and its client was answered so.
            return;
        }
        if self.scheduler.is_busy(order.mailbox.address()) {
            #[expect(
                clippy::let_underscore_must_use,
                reason = "an ended connection is detected by its closed mailbox"
            )]
            let _ = reply.send(Err(WatchRefused::Busy));
            return;
        }
        let tip = self.tip();
        let index = self.parts.index.as_ref().map(|index| index.status.borrow().clone());
        // Without an index, requests for history are refused earlier.
        let history = index.as_ref().and(order.history).map(watch_history::requested);
        let most = self.parts.max_watches;
        let added = match detach {
            Some(detach) => self
                .watches
                .add_detached(order, history, most, detach, self.parts.detached),
            None => self.watches.add(order, history, most),
        };
        let added = added.map(|watch| {
            let mut plan = HistoryPlan::live_only();
            if let Some(index) = &index {
                if let Some(tip) = tip {
                    watch.settle(tip, index);
                }
                plan = watch.plan(tip, index);
            }
            let registered = Registered {
                watch_id: watch.id().to_owned(),
                history: plan,
            };
            (registered, watch.client(), watch.number)
        });
        let (answer, added) = match added {
            Ok((registered, client, number)) => (Ok(registered.clone()), Some((registered.watch_id, client, number))),
            Err(refused) => (Err(refused), None),
        };
        // Before the answer, so that the metrics contain the watch when the client has the answer.
        self.parts.vitals.set_watches(self.watches.len());
        let is_known = reply.send(answer).is_ok();
        // After the answer: a connection with a frame of the watch in its mailbox has the answer too, and sends it
        // first.
        let Some((watch_id, client, number)) = added else {
            return;
        };
        if !is_known {
            // The caller has stopped waiting, and does not know its id.
            self.watches.remove(&watch_id);
            return;
        }
        if let Some(watch) = self.watches.by_id(&watch_id) {
            watch.report_progress(tip.unwrap_or_default());
            // Queued until the first block is known.
            watch.scan().into_iter().for_each(|scan| self.history.add(scan));
        }
        self.scan_mempool(&client, number);
    }

    /// Settles the histories that waited for the first block. Skipped blocks, from the one above `seen`, are not
    /// processed live: they become history.
    pub(super) fn jumped(&mut self, seen: Option<u32>, tip: u32) {
        let index = self.parts.index.as_ref().map(|index| index.status.borrow().clone());
        for watch in self.watches.iter_mut() {
            let is_new = watch.jumped(seen, tip, index.as_ref());
            watch.report_progress(tip);
            if is_new {
                watch.scan().into_iter().for_each(|scan| self.history.add(scan));
            }
        }
        self.look_up_for_watches();
        self.check_own();
    }

    /// Sends the results of a scan of the history to its watch, if the range is in the chain as of the last commit.
    pub(super) fn apply_scanned(&mut self, scanned: &ScannedRange) -> NextScan {
        let holds = scanned.missing.is_some() || self.holds(scanned.through);
        // Its spends are of the same chain.
        let holds = holds && scanned.index_tip.is_none_or(|tip| self.is_of_chain(tip));
        let tip = self.tip().unwrap_or_default();
        let (recent, mempool) = (&self.recent_spends, &self.mempool);
        let Some(watch) = self.watches.by_id(&scanned.watch_id) else {
            return NextScan::Done;
        };
        if !holds {
            return watch.next_scan(true);
        }
        let newest = |outpoint: &OutPoint| spend_of(outpoint, recent, mempool);
        let unknown = match scanned.index_tip {
            Some(index) => recent.unknown_above(index.height, tip),
            // Nothing was looked up.
            None => Some(tip),
        };
        let (next_scan, reports) = watch.scanned(scanned, tip, unknown, newest);
        watch
            .look_up(tip)
            .into_iter()
            .for_each(|look_up| self.spends.add(look_up));
        self.parts
            .metrics
            .watch_payments_detected
            .inc_by(reports.payments as u64);
        self.count_unnamed(reports.names);
        self.look_up_names(&scanned.watch_id);
        next_scan
    }

    /// Whether a block of the index is in the chain as of the last commit. Below the recent blocks the index decides,
    /// if it contains the lowest of them: both are then of one chain.
    pub(super) fn holds(&self, at: BlockRef) -> bool {
        let Some(index) = &self.parts.index else { return false };
        let Some((height, hash)) = self.recent.range(at.height..).next() else {
            return false;
        };
        if *height == at.height {
            return *hash == at.hash;
        }
        let of_index = |height| index.store.hash_at(height).ok().flatten();
        of_index(*height) == Some(*hash) && of_index(at.height) == Some(at.hash)
    }

    /// Whether the index with this tip, and the chain as of the last commit, are of one chain.
    pub(super) fn is_of_chain(&self, index_tip: BlockRef) -> bool {
        match (self.recent.last_key_value(), &self.parts.index) {
            (Some((height, hash)), Some(index)) if *height < index_tip.height => {
                index.store.hash_at(*height).ok().flatten() == Some(*hash)
            }
            _ => self.holds(index_tip),
        }
    }

    /// Scans the current mempool for a new watch, with this number: transactions that enter later are scanned for it
    /// live.
    pub(super) fn scan_mempool(&mut self, client: &Client, number: u64) {
        let mut before = std::mem::take(&mut self.snapshot);
        for segment in self.mempool.snapshot() {
            let known = before.iter().position(|(known, _)| Arc::ptr_eq(known, &segment));
            let (segment, batch) = known.map(|at| before.swap_remove(at)).unwrap_or_else(|| {
                let batch = Rows::new(Class::Backfill, Arc::clone(&segment), 1);
                (segment, Arc::new(batch))
            });
            // Never refused: the caller has checked the capacity.
            self.scheduler.push(&batch, [client]);
            self.snapshot.push((segment, batch));
        }
        self.scheduler.push(&Arc::new(Rows::last_of(number)), [client]);
    }

    /// Schedules a scan of rows for all watches; their connections receive no further event before it is done.
    pub(super) fn scan_for_watches(
        &mut self,
        rows: Vec<Arc<Row>>,
        block: Option<(BlockRef, u64)>,
    ) -> Option<Arc<Rows>> {
        if rows.is_empty() || self.watches.len() == 0 {
            return None;
        }
        let mark = self.next_event_id;
        let batch = Arc::new(Rows::live(rows.into(), self.watches.len(), mark, block));
        self.watches.hold(mark);
        for owner in self.scheduler.push(&batch, self.watches.clients()) {
            tracing::warn!("closing a connection: the scans for its watches are too far behind");
            self.watches.give_up(owner, true);
        }
        Some(batch)
    }

    /// Handles a result, or the end, of a scan.
    pub(super) fn scanned(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Found {
                batch,
                row,
                watches,
                matches,
            } => {
                let Some(row) = batch.rows.get(row) else { return };
                let Some(place) = self.place(&batch, row.facts.txid) else {
                    return;
                };
                let tip = self.tip().unwrap_or_default();
                // Blocks from that of the payment on are kept until it is scanned, except after a jump.
                let unknown = match place {
                    Place::Block(at, _) => self.recent_spends.unknown_above(at.height.saturating_sub(1), tip),
                    Place::Mempool(_) | Place::History(..) => None,
                };
                let unknown = unknown.filter(|_| self.parts.index.is_some());
                let mut found = None;
                for number in watches {
                    // The watch may have ended during the scan.
                    let Some(watch) = self.watches.by_number(number) else {
                        continue;
                    };
                    let (mempool, recent) = (&self.mempool, &self.recent_spends);
                    let (payments, spends) = found.get_or_insert_with(|| {
                        let payments = watch.payments(row, &matches, place);
                        let spends = spends_of(payments.iter().map(|found| found.outpoint), recent, mempool);
                        (payments, spends)
                    });
                    let count = watch.found(payments, spends, tip);
                    if let Some(unknown) = unknown {
                        watch.unchecked.extend(unknown);
                        watch
                            .look_up(tip)
                            .into_iter()
                            .for_each(|look_up| self.spends.add(look_up));
                    }
                    self.parts.metrics.watch_payments_detected.inc_by(count as u64);
                }
            }
            Outcome::Done { owner, batch } => {
                if let Some(mark) = batch.mark {
                    self.watches.release(owner, mark);
                }
                let scanned = batch.last_of.and_then(|number| self.watches.by_number(number));
                if let Some(watch) = scanned.filter(|watch| watch.mailbox.has_scan_ends()) {
                    watch.mempool_scanned();
                }
                if batch.class == Class::Block {
                    for block in self
                        .block_scans
                        .iter_mut()
                        .filter(|block| Arc::ptr_eq(&block.rows, &batch))
                    {
                        block.waiting.remove(&owner);
                    }
                    self.block_scans.retain(|block| !block.waiting.is_empty());
                }
            }
            Outcome::Failed { owner } => self.watches.give_up(owner, false),
        }
    }

    /// Current location of the rows of a batch; `None` if it has changed since the scan.
    pub(super) fn place(&self, batch: &Arc<Rows>, txid: Txid) -> Option<Place> {
        match batch.block {
            // Until the block is scanned for all watches, or disconnected.
            Some((at, time)) => {
                let is_underway = self.block_scans.iter().any(|block| Arc::ptr_eq(&block.rows, batch));
                is_underway.then_some(Place::Block(at, time))
            }
            // Watches are notified of the mempool first, and then of a block whose scan is not finished.
            None => self.is_waiting(&txid).then_some(Place::Mempool(batch.seen)),
        }
    }

    /// Whether watches see a transaction as unconfirmed: it is in the mempool, or in a block whose scan is not
    /// finished.
    pub(super) fn is_waiting(&self, txid: &Txid) -> bool {
        self.mempool.contains(txid) || self.block_scans.iter().any(|block| block.txids.contains(txid))
    }

    /// Drops the scans for connections without watches.
    pub(super) fn drop_scans(&mut self) {
        for owner in self.watches.gone() {
            self.scheduler.leave(owner);
            for block in &mut self.block_scans {
                block.waiting.remove(&owner);
            }
            self.block_scans.retain(|block| !block.waiting.is_empty());
        }
    }
}

/// What spends these outputs, in the newest blocks or in the mempool.
fn spends_of(outputs: impl Iterator<Item = OutPoint>, recent: &RecentSpends, mempool: &Mempool) -> Spent {
    let spend = |outpoint| Some((outpoint, spend_of(&outpoint, recent, mempool)?));
    outputs.filter_map(spend).collect()
}

fn spend_of(outpoint: &OutPoint, recent: &RecentSpends, mempool: &Mempool) -> Option<Spend> {
    recent.spend_of(outpoint).or_else(|| mempool.spend_of(outpoint))
}
