//! The task itself: one event or command at a time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use bytes::Bytes;
use sdk_relay_bip352::{Hit, Receiver, TxWithPrevouts};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason, MempoolTx};
use sdk_relay_protocol::{
    BlockDisconnected, BlockMined, EncodeError, Event, Notification, Payment, ServerMessage, Topic, Tweaks, encode,
};
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_store::{Batch, BlockChange, LogEntry};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::commands::{Command, Detection, Registered, WatchOrder, WatchRefused};
use super::history::Stretch;
use super::ledger::{Change, Ledger};
use super::past::{Outlook, Past, Standing};
use super::rows::{Facts, Place, Row, to_scripts};
use super::scan::{LongScan, is_long, scan};
use super::scan_queue::ScanQueue;
use super::watches::Watches;
use super::{Parts, StartError};
use crate::clock::unix_now;

/// Between two tries to commit when the store fails: a full disk is looked at again soon after somebody has made room.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    parts: Parts,
    detection: Detection,
    /// The plain address of the relay's own wallet.
    own_address: String,
    ledger: Ledger,
    watches: Watches,
    /// The chain as it was told, its newest blocks.
    recent: BTreeMap<u32, BlockHash>,
    /// Orders for the scanner of history.
    history: Arc<ScanQueue>,
    wallet_scripts: HashSet<ScriptBuf>,
    /// Transactions now in the mempool: the eligible ones with their tweaks, against which a new watch is held.
    mempool: HashMap<Txid, Option<Arc<Row>>>,
    /// New watches are held against the mempool one at a time, so that they cannot take all processors.
    one_scan: Arc<Semaphore>,
    scans: JoinSet<()>,
    next_event_id: u64,
    /// A block whose scan takes long. What enters and leaves the mempool goes on meanwhile, and all else waits for it.
    underway: Option<(Connecting, LongScan)>,
}

/// A block that has been looked at and not been told yet.
struct Connecting {
    at: BlockRef,
    place: Place,
    rows: Vec<Arc<Row>>,
    scanned_for: ScannedFor,
    story: Story,
}

/// The numbers of the watches that a scan is for; the own wallet comes before them.
struct ScannedFor(Vec<u64>);

impl Worker {
    pub(super) fn new(parts: Parts, detection: Detection, history: Arc<ScanQueue>) -> Result<Self, StartError> {
        let payments = parts.store.payments()?.into_iter().filter_map(|(outpoint, bytes)| {
            let payment: Result<Payment, _> = serde_json::from_slice(&bytes);
            payment
                .inspect_err(
                    |error| tracing::error!(%outpoint, %error, "a stored payment cannot be read; it is left out"),
                )
                .ok()
                .map(|p| (outpoint, p))
        });
        let ledger = Ledger::of(payments);
        Ok(Self {
            own_address: parts.own.address(parts.network.silent_payment()).to_string(),
            next_event_id: parts.store.next_event_id()?,
            recent: parts.store.recent_blocks()?.into_iter().collect(),
            history,
            parts,
            detection,
            ledger,
            watches: Watches::default(),
            wallet_scripts: HashSet::new(),
            mempool: HashMap::new(),
            one_scan: Arc::new(Semaphore::new(1)),
            scans: JoinSet::new(),
            underway: None,
        })
    }

    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<ChainEvent>,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        if let Some(scripts) = self.parts.wallet_scripts.take() {
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender may give up, on a node without wallets: then there is nothing to wait for.
                scripts = scripts => self.wallet_scripts = scripts.unwrap_or_else(|_| HashSet::new()),
            }
        }
        // The first event that has to wait for the block underway; those behind it stay in the channel.
        let mut waiting = None;
        let mut ended = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Commands first: a watch that is ordered before a payment hears of it.
                Some(command) = commands.recv() => self.obey(command, &stop).await,
                hits = found(&mut self.underway) => {
                    self.end_block(hits, &stop).await;
                    if let Some(event) = waiting.take() {
                        self.apply(event, &stop).await;
                    }
                }
                event = events.recv(), if waiting.is_none() && !ended => match event {
                    Some(event) if self.underway.is_some() && !is_of_mempool(&event) => waiting = Some(event),
                    Some(event) => self.apply(event, &stop).await,
                    None => ended = true,
                },
            }
            if ended && self.underway.is_none() {
                return;
            }
            self.parts.vitals.set_watches(self.watches.len());
        }
    }

    async fn obey(&mut self, command: Command, stop: &CancellationToken) {
        match command {
            Command::Watch(order, reply) => self.watch(*order, reply),
            Command::Unwatch { watch_id } => {
                self.watches.remove(&watch_id);
                self.history.remove(&watch_id);
            }
            Command::Left(mailbox) => {
                self.watches.remove_of(&mailbox);
                self.history.remove_of(&mailbox);
            }
            Command::Matched { watch_id, matches } => {
                let Some(watch) = self.watches.by_id(&watch_id) else {
                    return;
                };
                // What was mined or left meanwhile has been told, or is to be told no more.
                for (row, found) in matches
                    .iter()
                    .filter(|(row, _)| self.mempool.contains_key(&row.facts.txid))
                {
                    let news = watch.found(row, found, Place::Mempool(unix_now()));
                    self.parts.counters.watching.payments_detected.inc_by(news as u64);
                }
            }
            Command::Past(stretches, reply) => {
                let standings = stretches.iter().map(|stretch| self.past(stretch)).collect();
                #[expect(clippy::let_underscore_must_use, reason = "without a scanner the relay is ending")]
                let _ = reply.send(standings);
            }
            Command::Log(event) => {
                let mut story = Story::default();
                story.events.push((Topic::Notifications, *event));
                self.commit(story, None, stop).await;
            }
            Command::WalletScripts(scripts) => self.wallet_scripts = scripts,
        }
    }

    fn watch(&mut self, order: WatchOrder, reply: oneshot::Sender<Result<Registered, WatchRefused>>) {
        let tip = self.tip();
        let index = self.parts.index.as_ref().map(|index| index.status.borrow().clone());
        // Without an index no request for history gets here.
        let past = index.as_ref().and(order.history).map(Past::new);
        let added = self.watches.add(order, past, self.parts.max_watches).map(|watch| {
            let mut outlook = Outlook::live_only();
            if let Some(index) = &index {
                if let Some(tip) = tip {
                    watch.settle(tip, index);
                }
                outlook = watch.outlook(tip, index);
                watch.tell_progress(tip.unwrap_or_default());
                watch.end_past(tip.unwrap_or_default());
                // Kept until the first block is known, where it is not yet.
                watch.scan().into_iter().for_each(|scan| self.history.add(scan));
            }
            let registered = Registered {
                watch_id: watch.id().to_owned(),
                history: outlook,
            };
            (registered, Arc::clone(&watch.receiver))
        });
        let answer = match added {
            Ok((registered, receiver)) => {
                self.hold_against_mempool(registered.watch_id.clone(), receiver);
                Ok(registered)
            }
            Err(refused) => Err(refused),
        };
        // Before the answer: who has it finds the watch in the figures.
        self.parts.vitals.set_watches(self.watches.len());
        #[expect(
            clippy::let_underscore_must_use,
            reason = "a connection that is gone is noticed by its dead mailbox"
        )]
        let _ = reply.send(answer);
    }

    /// Height of the newest block that detection knows.
    fn tip(&self) -> Option<u32> {
        self.recent.last_key_value().map(|(height, _)| *height)
    }

    /// Settles the histories that have waited for the first block. What the chain jumped over, from the block above `seen` on, live detection
    /// does not see: it becomes history.
    fn jumped(&mut self, seen: Option<u32>, tip: u32) {
        let index = self.parts.index.as_ref().map(|index| index.status.borrow().clone());
        for watch in self.watches.iter_mut() {
            let is_new = watch.jumped(seen, tip, index.as_ref());
            watch.tell_progress(tip);
            watch.end_past(tip);
            if is_new {
                watch.scan().into_iter().for_each(|scan| self.history.add(scan));
            }
        }
    }

    /// Tells a watch of its past, where what was scanned is of the chain as it was told.
    fn past(&mut self, stretch: &Stretch) -> Standing {
        let holds = stretch.missing.is_some() || self.holds(stretch.through);
        let tip = self.tip().unwrap_or_default();
        let Some(watch) = self.watches.by_id(&stretch.watch_id) else {
            return Standing::Done;
        };
        if !holds {
            return watch.standing(true);
        }
        let (standing, news) = watch.past(stretch, tip);
        self.parts.counters.watching.payments_detected.inc_by(news as u64);
        standing
    }

    /// Whether a block of the index is in the chain as it was told. Below the blocks that are remembered the index answers, where it holds
    /// the lowest of them: both are then of one chain.
    fn holds(&self, at: BlockRef) -> bool {
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

    /// Scans the mempool as it stands for a new watch, beside detection: live payments to it are found meanwhile.
    fn hold_against_mempool(&mut self, watch_id: String, receiver: Arc<Receiver>) {
        let rows: Vec<Arc<Row>> = self.mempool.values().flatten().cloned().collect();
        if rows.is_empty() {
            return;
        }
        let (engine, detection, turn) = (
            Arc::clone(&self.parts.engine),
            self.detection.clone(),
            Arc::clone(&self.one_scan),
        );
        while self.scans.try_join_next().is_some() {}
        self.scans.spawn(async move {
            let Ok(_turn) = turn.acquire_owned().await else { return };
            let scanned = tokio::task::spawn_blocking(move || {
                let eligible: Vec<_> = rows.iter().map(|r| &r.eligible).collect();
                let hits = engine.scan(&[&receiver], &eligible);
                hits.into_iter()
                    .filter_map(|h| Some((Arc::clone(rows.get(h.row)?), h.matches)))
                    .collect::<Vec<_>>()
            });
            if let Ok(matches) = scanned.await {
                detection.matched(watch_id, matches).await;
            }
        });
    }

    async fn apply(&mut self, event: ChainEvent, stop: &CancellationToken) {
        self.watches.forget_dead();
        let mut story = Story::default();
        let mut change = None;
        match event {
            ChainEvent::BlockConnected { at, block } => {
                self.remember(at);
                return self.connect(at, &block, stop).await;
            }
            ChainEvent::BlockDisconnected { at, parent } => {
                change = Some(BlockChange::Disconnect {
                    height: at.height,
                    parent: parent.hash,
                });
                self.recent.remove(&at.height);
                self.remember(parent);
                self.disconnect(at, parent.hash, &mut story);
            }
            ChainEvent::Jumped { at } => {
                change = Some(BlockChange::Jump(at.height, at.hash));
                let seen = self.tip();
                self.recent.clear();
                self.remember(at);
                self.jumped(seen, at.height);
            }
            ChainEvent::TxsEntered(txs) => self.enter(&txs, &mut story),
            ChainEvent::TxLeft { txid, reason } => self.leave(txid, reason, &mut story),
            ChainEvent::MempoolSynced => {
                let mempool = &self.mempool;
                story.payments(self.ledger.mempool_is(|t| mempool.contains_key(t)));
                self.watches
                    .iter_mut()
                    .for_each(|w| w.mempool_is(|t| mempool.contains_key(t)));
                self.parts.vitals.set_mempool_known();
            }
        }
        self.commit(story, change, stop).await;
        if let Some(BlockChange::Jump(height, _)) = change {
            self.parts.vitals.set_tip(height);
        }
    }

    fn remember(&mut self, at: BlockRef) {
        self.recent.insert(at.height, at.hash);
        if let Some(last) = at.height.checked_sub(KEPT_BLOCKS) {
            self.recent = self.recent.split_off(&(last + 1));
        }
    }

    async fn connect(&mut self, at: BlockRef, block: &BlockWithPrevouts, stop: &CancellationToken) {
        let mut story = Story::default();
        let header = &block.block.header;
        let place = Place::Block(at, u64::from(header.time));
        story.events.push((
            Topic::Notifications,
            Event::BlockMined(BlockMined {
                block_height: at.height,
                block_hash: at.hash.to_string(),
                transactions: block.block.txdata.len() as u64,
                size: block.size as u64,
                timestamp: u64::from(header.time),
                difficulty: header.difficulty_float(),
                merkle_root: header.merkle_root.to_string(),
            }),
        ));
        let txs: Vec<TxWithPrevouts<'_>> = block
            .block
            .txdata
            .iter()
            .zip(block.prevouts.iter().map(Vec::as_slice))
            .collect();
        let facts: Vec<Facts> = txs
            .iter()
            .map(|(tx, prevouts)| Facts::of(tx.compute_txid(), tx, prevouts))
            .collect();
        for (facts, (tx, _)) in facts.iter().zip(&txs) {
            self.mempool.remove(&facts.txid);
            self.find_for_wallet(*facts, tx, place, &mut story);
        }
        let rows: Vec<Arc<Row>> = Row::of(&*self.parts.engine, &facts, &txs)
            .into_iter()
            .flatten()
            .collect();
        self.parts
            .counters
            .transactions_scanned
            .inc_by(block.block.txdata.len() as u64);
        self.parts.counters.blocks_connected.inc();
        let (scanned_for, receivers) = self.receivers();
        let connecting = Connecting {
            at,
            place,
            rows,
            scanned_for,
            story,
        };
        let rows = &connecting.rows;
        if is_long(receivers.len(), rows.len()) {
            let scan = LongScan::start(&self.parts.engine, receivers, rows.clone());
            self.underway = Some((connecting, scan));
            return;
        }
        let hits = scan(&*self.parts.engine, &receivers, rows);
        self.tell_block(connecting, hits, stop).await;
    }

    /// The scan of the block underway has ended.
    async fn end_block(&mut self, hits: Option<Vec<Hit>>, stop: &CancellationToken) {
        let Some((connecting, scan)) = self.underway.take() else {
            return;
        };
        // Without hits the scan has failed: once more, here.
        let hits = hits.unwrap_or_else(|| scan.anew(&*self.parts.engine));
        self.tell_block(connecting, hits, stop).await;
    }

    async fn tell_block(&mut self, block: Connecting, hits: Vec<Hit>, stop: &CancellationToken) {
        let Connecting {
            at,
            place,
            rows,
            scanned_for,
            mut story,
        } = block;
        self.tell(hits, &scanned_for, &rows, place, &mut story);
        let tweaks = Tweaks {
            block_height: at.height,
            block_hash: at.hash.to_string(),
            transactions: rows.iter().map(|r| r.tweak_tx()).collect(),
            part: 1,
            parts: 1,
            historical: false,
        };
        // All parts are in one commit, so that a block is in the log as a whole or not at all.
        let parts = tweaks.into_parts().into_iter();
        story
            .events
            .extend(parts.map(|part| (Topic::Tweaks, Event::Tweaks(part))));
        if let Some(deep) = at.height.checked_sub(KEPT_BLOCKS) {
            story.forgotten.extend(self.ledger.bury(deep));
            self.watches.iter_mut().for_each(|w| w.bury(deep));
        }
        let change = Some(BlockChange::Connect(at.height, at.hash));
        self.commit(story, change, stop).await;
        self.parts.vitals.set_tip(at.height);
    }

    fn disconnect(&mut self, at: BlockRef, parent: BlockHash, story: &mut Story) {
        self.parts.counters.blocks_disconnected.inc();
        let hash = at.hash.to_string();
        // Payments are taken back before the block that held them, the reverse of how they were told.
        story.payments(self.ledger.disconnected(&hash));
        let tip = at.height.saturating_sub(1);
        self.watches
            .iter_mut()
            .for_each(|w| w.disconnected(at.height, &hash, tip));
        story.events.push((
            Topic::Notifications,
            Event::BlockDisconnected(BlockDisconnected {
                block_height: at.height,
                block_hash: hash,
                previous_block_hash: parent.to_string(),
                timestamp: unix_now(),
            }),
        ));
        self.parts.vitals.set_tip(at.height.saturating_sub(1));
    }

    fn enter(&mut self, txs: &[Arc<MempoolTx>], story: &mut Story) {
        let place = Place::Mempool(unix_now());
        let given: Vec<TxWithPrevouts<'_>> = txs.iter().map(|t| (&t.tx, t.prevouts.as_slice())).collect();
        let facts: Vec<Facts> = txs.iter().map(|t| Facts::of(t.txid, &t.tx, &t.prevouts)).collect();
        let mut rows = Vec::new();
        for (row, (facts, (tx, _))) in Row::of(&*self.parts.engine, &facts, &given)
            .into_iter()
            .zip(facts.iter().zip(&given))
        {
            self.find_for_wallet(*facts, tx, place, story);
            self.mempool.insert(facts.txid, row.clone());
            rows.extend(row);
        }
        self.parts.counters.transactions_scanned.inc_by(txs.len() as u64);
        if rows.is_empty() {
            return;
        }
        let (scanned_for, receivers) = self.receivers();
        let hits = scan(&*self.parts.engine, &receivers, &rows);
        self.tell(hits, &scanned_for, &rows, place, story);
    }

    fn leave(&mut self, txid: Txid, reason: LeaveReason, story: &mut Story) {
        self.mempool.remove(&txid);
        let by = match reason {
            LeaveReason::Replaced { by } => Some(by),
            LeaveReason::Removed => None,
        };
        story.payments(self.ledger.left(txid, by));
        self.watches.iter_mut().for_each(|w| w.left(txid, by));
    }

    fn find_for_wallet(&mut self, facts: Facts, tx: &bitcoin::Transaction, place: Place, story: &mut Story) {
        if self.wallet_scripts.is_empty() {
            return;
        }
        let payments = to_scripts(facts, tx, place, &self.wallet_scripts, self.parts.network);
        for (outpoint, payment) in payments {
            story.payments(self.ledger.seen(outpoint, payment));
        }
    }

    /// Whom rows are scanned for: the own wallet, and every watch.
    fn receivers(&self) -> (ScannedFor, Vec<Arc<Receiver>>) {
        let numbers = self.watches.iter().map(|(number, _)| number).collect();
        let watched = self.watches.iter().map(|(_, w)| Arc::clone(&w.receiver));
        let receivers = std::iter::once(Arc::clone(&self.parts.own)).chain(watched).collect();
        (ScannedFor(numbers), receivers)
    }

    fn tell(&mut self, hits: Vec<Hit>, scanned_for: &ScannedFor, rows: &[Arc<Row>], place: Place, story: &mut Story) {
        for Hit { receiver, row, matches } in hits {
            let Some(row) = rows.get(row) else { continue };
            let Some(watch) = receiver.checked_sub(1) else {
                for found in &matches {
                    let (outpoint, payment) = row.payment(found, place, self.own_address.clone(), None);
                    story.payments(self.ledger.seen(outpoint, payment));
                }
                continue;
            };
            // The watch may have ended while its block was scanned.
            let watch = scanned_for.0.get(watch).and_then(|n| self.watches.by_number(*n));
            if let Some(watch) = watch {
                let news = watch.found(row, &matches, place);
                self.parts.counters.watching.payments_detected.inc_by(news as u64);
            }
        }
    }

    /// Makes the story durable, and then tells it. Tries until the store takes it: to go on without would lose events.
    async fn commit(&mut self, story: Story, block: Option<BlockChange>, stop: &CancellationToken) {
        let Story {
            events,
            kept,
            forgotten,
        } = story;
        for (_, event) in &events {
            match event {
                Event::PaymentDetected(_) => self.parts.counters.payments_detected.inc(),
                Event::PaymentReverted(_) => self.parts.counters.payments_reverted.inc(),
                _ => 0,
            };
        }
        let entries = (self.next_event_id..)
            .zip(events)
            .map(|(id, (topic, event))| entry(id, topic, event))
            .collect::<Result<Vec<_>, _>>();
        let payments = kept
            .into_iter()
            .chain(forgotten.into_iter().map(|o| (o, None)))
            .map(|(outpoint, payment)| Ok((outpoint, payment.map(|p| encode(&p)).transpose()?)))
            .collect::<Result<Vec<_>, EncodeError>>();
        let batch = match entries.and_then(|events| payments.map(|payments| (events, payments))) {
            Ok((events, payments)) => Batch {
                block,
                events,
                payments,
            },
            Err(error) => {
                // To go on without would lose the event, and an empty one would be worse. The end of detection ends the relay.
                tracing::error!(%error, "detection ends: please report this");
                stop.cancel();
                return;
            }
        };
        if batch.is_empty() {
            return;
        }
        while let Err(error) = self.parts.store.commit(&batch) {
            if self.parts.vitals.set_store_fails(true) {
                tracing::error!(%error, "events cannot be written; detection waits until they can: look at the disk of data_dir");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COMMIT_RETRY) => {}
            }
        }
        if self.parts.vitals.set_store_fails(false) {
            tracing::info!("events can be written again");
        }
        self.next_event_id += batch.events.len() as u64;
        self.parts.hub.publish(batch.events, batch.block);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.history.close();
    }
}

/// What may be told while a block is scanned: it neither changes the chain nor depends on it.
fn is_of_mempool(event: &ChainEvent) -> bool {
    matches!(event, ChainEvent::TxsEntered(_) | ChainEvent::TxLeft { .. })
}

/// What the scan underway has found; `None` when it has failed.
async fn found(underway: &mut Option<(Connecting, LongScan)>) -> Option<Vec<Hit>> {
    match underway {
        Some((_, scan)) => scan.hits().await,
        None => std::future::pending().await,
    }
}

fn entry(id: u64, topic: Topic, event: Event) -> Result<LogEntry, EncodeError> {
    let notification = Notification {
        event,
        timestamp: unix_now(),
        event_id: Some(id),
    };
    Ok(LogEntry {
        id,
        topic,
        payload: Bytes::from(encode(&ServerMessage::Notification(notification))?),
    })
}

/// What one chain event brings: events to log in order, and what becomes of payments.
#[derive(Default)]
struct Story {
    events: Vec<(Topic, Event)>,
    kept: Vec<(OutPoint, Option<Payment>)>,
    forgotten: Vec<OutPoint>,
}

impl Story {
    fn payments(&mut self, changes: impl IntoIterator<Item = Change>) {
        for Change { outpoint, event, kept } in changes {
            self.kept.push((outpoint, kept));
            self.events.push((Topic::Notifications, event));
        }
    }
}

#[cfg(test)]
mod tests;
