//! The task itself: one event or command at a time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, ScriptBuf, Txid};
use bytes::Bytes;
use sdk_relay_bip352::{Hit, TxWithPrevouts};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason, MempoolTx};
use sdk_relay_protocol::{
    BlockDisconnected, BlockMined, EncodeError, Event, Notification, Payment, ServerMessage, Topic, Tweaks, encode,
};
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_store::{Batch, BlockChange, LogEntry};
use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::commands::{Command, Detection, Registered, WatchOrder, WatchRefused};
use super::history::Stretch;
use super::known_payment::KnownPayment;
use super::ledger::{Change, Ledger};
use super::mempool::{Mempool, Segment};
use super::parts::{Parts, StartError};
use super::past::{Outlook, Past, Standing};
use super::rows::{Facts, Place, Row, to_scripts};
use super::scan::scan;
use super::scan_queue::ScanQueue;
use super::scheduler::{Batch as Rows, Class, Client, Outcome, Owner, Scheduler};
use super::watches::Watches;

/// Between two tries to commit when the store fails: a full disk is looked at again soon after somebody has made room.
const COMMIT_RETRY: Duration = Duration::from_secs(1);
/// Outcomes of scans that are taken while an event of the chain waits: some 10 ms, if each has payments for as many watches as it may have.
const OUTCOMES_PER_EVENT: u32 = 16;

pub(super) struct Worker {
    parts: Parts,
    detection: Detection,
    /// The plain address of the relay's own wallet.
    own_address: Arc<str>,
    ledger: Ledger,
    watches: Watches,
    /// The chain as it was told, its newest blocks.
    recent: BTreeMap<u32, BlockHash>,
    /// Orders for the scanner of history.
    history: Arc<ScanQueue>,
    wallet_scripts: HashSet<ScriptBuf>,
    mempool: Mempool,
    /// The batches of the mempool's newest snapshot: watches that come while it stands share them.
    snapshot: Vec<(Segment, Arc<Rows>)>,
    scheduler: Scheduler,
    next_event_id: u64,
    /// Blocks that are being scanned for watches. Their events are committed.
    underway: Vec<Underway>,
}

/// A block that is being scanned for watches.
struct Underway {
    hash: BlockHash,
    rows: Arc<Rows>,
    txids: HashSet<Txid>,
    /// For whom it is not scanned to its end.
    waiting: HashSet<Owner>,
}

impl Worker {
    pub(super) fn new(
        parts: Parts,
        detection: Detection,
        history: Arc<ScanQueue>,
        scheduler: Scheduler,
    ) -> Result<Self, StartError> {
        let payments = parts.store.payments()?.into_iter().filter_map(|(outpoint, bytes)| {
            KnownPayment::from_store(&bytes)
                .inspect_err(
                    |error| tracing::error!(%outpoint, %error, "ignoring a stored payment that cannot be decoded"),
                )
                .ok()
                .map(|payment| (outpoint, payment))
        });
        let ledger = Ledger::of(payments);
        Ok(Self {
            own_address: parts.own.address(parts.network.silent_payment()).to_string().into(),
            next_event_id: parts.store.next_event_id()?,
            recent: parts.store.recent_blocks()?.into_iter().collect(),
            history,
            parts,
            detection,
            ledger,
            watches: Watches::default(),
            wallet_scripts: HashSet::new(),
            mempool: Mempool::default(),
            snapshot: Vec::new(),
            scheduler,
            underway: Vec::new(),
        })
    }

    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<ChainEvent>,
        mut commands: mpsc::Receiver<Command>,
        mut outcomes: mpsc::Receiver<Outcome>,
        stop: CancellationToken,
    ) {
        let mut first_scripts = self.parts.wallet_scripts.take();
        let mut outcomes_in_a_row = 0;
        loop {
            let chain_waits = first_scripts.is_none() && !events.is_empty();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Commands first: a watch that is ordered before a payment hears of it. They are served from the start on, whether the node is there or not.
                Some(command) = commands.recv() => self.obey(command, &stop).await,
                // Taken before more is pushed, so that the scheduler never waits for the chain; but however much is found, the chain waits for a few only.
                Some(outcome) = outcomes.recv(), if !chain_waits || outcomes_in_a_row < OUTCOMES_PER_EVENT => {
                    outcomes_in_a_row = if chain_waits { outcomes_in_a_row + 1 } else { 0 };
                    self.scanned(outcome);
                }
                scripts = scripts(&mut first_scripts), if first_scripts.is_some() => {
                    first_scripts = None;
                    self.wallet_scripts = scripts;
                }
                event = events.recv(), if first_scripts.is_none() => match event {
                    Some(event) => {
                        outcomes_in_a_row = 0;
                        self.apply(event, &stop).await;
                    }
                    None => break,
                },
            }
            if self.detection.take_left_unsaid() {
                self.watches.forget_dead();
            }
            self.drop_scans();
            self.parts.vitals.set_watches(self.watches.len());
        }
        // The scheduler's threads wait for a place for what they have found.
        drop(outcomes);
    }

    async fn obey(&mut self, command: Command, stop: &CancellationToken) {
        match command {
            Command::Watch(order, reply) => self.watch(*order, reply),
            Command::Unwatch { watch_id, ended } => {
                self.watches.remove(&watch_id);
                self.history.remove(&watch_id);
                #[expect(clippy::let_underscore_must_use, reason = "whoever asked may have left")]
                let _ = ended.send(());
            }
            Command::Left(mailbox) => {
                self.watches.remove_of(&mailbox);
                self.history.remove_of(&mailbox);
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
        if reply.is_closed() {
            // It has waited for too long, and its client was answered so.
            return;
        }
        if self.scheduler.is_busy(order.mailbox.address()) {
            #[expect(
                clippy::let_underscore_must_use,
                reason = "a connection that is gone is noticed by its dead mailbox"
            )]
            let _ = reply.send(Err(WatchRefused::Busy));
            return;
        }
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
            }
            let registered = Registered {
                watch_id: watch.id().to_owned(),
                history: outlook,
            };
            (registered, watch.client())
        });
        let (answer, added) = match added {
            Ok((registered, client)) => (Ok(registered.clone()), Some((registered.watch_id, client))),
            Err(refused) => (Err(refused), None),
        };
        // Before the answer: who has it finds the watch in the figures.
        self.parts.vitals.set_watches(self.watches.len());
        let is_known = reply.send(answer).is_ok();
        // Behind the answer: whoever finds a frame of the watch in its mailbox has the answer too, and sends it first.
        let Some((watch_id, client)) = added else { return };
        if !is_known {
            // Nobody knows its name.
            self.watches.remove(&watch_id);
            return;
        }
        if let Some(watch) = self.watches.by_id(&watch_id) {
            watch.tell_progress(tip.unwrap_or_default());
            watch.end_past(tip.unwrap_or_default());
            // Kept until the first block is known, where it is not yet.
            watch.scan().into_iter().for_each(|scan| self.history.add(scan));
        }
        self.scan_mempool(&client);
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

    /// Scans the mempool as it stands for a new watch: what enters from now on is scanned for it live.
    fn scan_mempool(&mut self, client: &Client) {
        let mut before = std::mem::take(&mut self.snapshot);
        for segment in self.mempool.snapshot() {
            let known = before.iter().position(|(known, _)| Arc::ptr_eq(known, &segment));
            let (segment, batch) = known.map(|at| before.swap_remove(at)).unwrap_or_else(|| {
                let batch = Rows::new(Class::Backfill, Arc::clone(&segment), 1);
                (segment, Arc::new(batch))
            });
            // It is never refused: whether there is too much of it was asked before.
            self.scheduler.push(&batch, [client]);
            self.snapshot.push((segment, batch));
        }
    }

    /// Has rows scanned for all watches, and their connections see no further event before that is done.
    fn scan_for_watches(&mut self, rows: Vec<Arc<Row>>, block: Option<(BlockRef, u64)>) -> Option<Arc<Rows>> {
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

    /// A scan has brought something, or has ended.
    fn scanned(&mut self, outcome: Outcome) {
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
                let mut payments = None;
                for number in watches {
                    // It may have ended while its rows were scanned.
                    let Some(watch) = self.watches.by_number(number) else {
                        continue;
                    };
                    let payments = payments.get_or_insert_with(|| watch.payments(row, &matches, place));
                    let news = watch.found(payments);
                    self.parts.counters.watching.payments_detected.inc_by(news as u64);
                }
            }
            Outcome::Done { owner, batch } => {
                if let Some(mark) = batch.mark {
                    self.watches.release(owner, mark);
                }
                if batch.class == Class::Block {
                    for block in self
                        .underway
                        .iter_mut()
                        .filter(|block| Arc::ptr_eq(&block.rows, &batch))
                    {
                        block.waiting.remove(&owner);
                    }
                    self.underway.retain(|block| !block.waiting.is_empty());
                }
            }
            Outcome::Failed { owner } => self.watches.give_up(owner, false),
        }
    }

    /// Where the rows of a batch are now; `None` where they are no longer what they were scanned as.
    fn place(&self, batch: &Arc<Rows>, txid: Txid) -> Option<Place> {
        match batch.block {
            // It is underway until it is scanned for everybody, or has left the chain.
            Some((at, time)) => {
                let is_underway = self.underway.iter().any(|block| Arc::ptr_eq(&block.rows, batch));
                is_underway.then_some(Place::Block(at, time))
            }
            // Of a block that is underway the watch has heard nothing yet: it hears of the mempool first, and then of the block.
            None => self.is_waiting(&txid).then_some(Place::Mempool(batch.seen)),
        }
    }

    /// Whether a transaction is in the mempool as far as watches have heard: it is there, or in a block that is not scanned yet.
    fn is_waiting(&self, txid: &Txid) -> bool {
        self.mempool.contains(txid) || self.underway.iter().any(|block| block.txids.contains(txid))
    }

    /// Drops what is scanned for connections that have no watches any more.
    fn drop_scans(&mut self) {
        for owner in self.watches.gone() {
            self.scheduler.leave(owner);
            for block in &mut self.underway {
                block.waiting.remove(&owner);
            }
            self.underway.retain(|block| !block.waiting.is_empty());
        }
    }

    async fn apply(&mut self, event: ChainEvent, stop: &CancellationToken) {
        self.watches.forget_dead();
        self.watches.release_stalled();
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
                let (mempool, underway) = (&self.mempool, &self.underway);
                story.payments(self.ledger.mempool_is(|t| mempool.contains(t)));
                let is_waiting = |t: &Txid| mempool.contains(t) || underway.iter().any(|b| b.txids.contains(t));
                self.watches.iter_mut().for_each(|w| w.mempool_is(is_waiting));
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
        let rows: Vec<Arc<Row>> = Row::of(&self.parts.scanner, &facts, &txs)
            .into_iter()
            .flatten()
            .collect();
        self.parts
            .counters
            .transactions_scanned
            .inc_by(block.block.txdata.len() as u64);
        self.parts.counters.blocks_connected.inc();
        let hits = scan(&self.parts.scanner, std::slice::from_ref(&self.parts.own), &rows);
        self.tell_own(hits, &rows, place, &mut story);
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
        if let Some(batch) = self.scan_for_watches(rows, Some((at, u64::from(header.time)))) {
            self.underway.push(Underway {
                hash: at.hash,
                txids: batch.rows.iter().map(|row| row.facts.txid).collect(),
                waiting: self.watches.clients().map(|client| client.owner).collect(),
                rows: batch,
            });
        }
        self.commit(story, Some(BlockChange::Connect(at.height, at.hash)), stop)
            .await;
        self.parts.vitals.set_tip(at.height);
    }

    fn disconnect(&mut self, at: BlockRef, parent: BlockHash, story: &mut Story) {
        self.parts.counters.blocks_disconnected.inc();
        let hash = at.hash.to_string();
        // Payments are taken back before the block that held them, the reverse of how they were told.
        story.payments(self.ledger.disconnected(at.hash));
        let tip = at.height.saturating_sub(1);
        self.watches
            .iter_mut()
            .for_each(|w| w.disconnected(at.height, at.hash, tip));
        // What is still being scanned of it is of no use to anybody.
        for block in self.underway.extract_if(.., |block| block.hash == at.hash) {
            block.rows.cancel();
            let watches = self.watches.iter_mut();
            watches.for_each(|w| w.left_with_block(|txid| block.txids.contains(txid)));
        }
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
        for (row, (facts, (tx, _))) in Row::of(&self.parts.scanner, &facts, &given)
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
        let hits = scan(&self.parts.scanner, std::slice::from_ref(&self.parts.own), &rows);
        self.tell_own(hits, &rows, place, story);
        self.scan_for_watches(rows, None);
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

    fn tell_own(&mut self, hits: Vec<Hit>, rows: &[Arc<Row>], place: Place, story: &mut Story) {
        for Hit { row, matches, .. } in hits {
            let Some(row) = rows.get(row) else { continue };
            for found in &matches {
                let (outpoint, payment) = row.payment(found, place, Arc::clone(&self.own_address), false);
                story.payments(self.ledger.seen(outpoint, payment));
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
                tracing::error!(%error, "detection failed: please report this bug");
                stop.cancel();
                return;
            }
        };
        if batch.is_empty() {
            return;
        }
        while let Err(error) = self.parts.store.commit(&batch) {
            if self.parts.vitals.set_store_fails(true) {
                tracing::error!(%error, "cannot write events: check the disk of data_dir; detection is paused, retrying every second");
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

/// The node wallet's scripts, once they are known. Their sender may give up, on a node without wallets: then there is nothing to wait for.
async fn scripts(first: &mut Option<oneshot::Receiver<HashSet<ScriptBuf>>>) -> HashSet<ScriptBuf> {
    match first {
        Some(scripts) => scripts.await.unwrap_or_else(|_| HashSet::new()),
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
        for Change { outpoint, event } in changes {
            let kept = match &event {
                Event::PaymentDetected(payment) => Some(Payment::clone(payment)),
                _ => None,
            };
            self.kept.push((outpoint, kept));
            self.events.push((Topic::Notifications, event));
        }
    }
}

#[cfg(test)]
mod tests;
