//! One watch: its keys, its reported payments, and its history.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use sdk_relay_backfill::{Heights, NextRange, Progress};
use sdk_relay_bip352::{Match, Prepared};
use sdk_relay_chain::BlockRef;
use sdk_relay_index::IndexStatus;
use sdk_relay_platform::clock;
use sdk_relay_protocol::{Event, MissingBlocks, Notification, WatchProgress};
use sdk_relay_scheduler::{Client, Entry, Row};
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

use super::detached::TokenHash;
use super::history_scan::{ChainSpend, NextScan, Scan, ScannedRange};
use super::known_payment::KnownPayment;
use super::ledger::{Change, Ledger};
use super::look_up::{LookUp, LookedUp, Of, Unchecked};
use super::mailbox::{LedgerShare, Mailbox};
use super::queued::QueuedMessage;
use super::rows::{Place, payment_of};
use super::spend::{Coin, Spend, Spends};
use super::unnamed::{NameLookUp, Named, Unnamed};
use super::watch_history::{self, HistoryPlan, WatchHistory};
use super::watch_message::{FoundOutput, PaymentMessage, WatchMessage};

/// Payments of one row.
type Payments = Vec<FoundPayment>;

/// A payment, and its output as the scan found it.
pub(super) struct FoundPayment {
    pub(super) outpoint: OutPoint,
    payment: KnownPayment,
    output: FoundOutput,
}

/// A change to report; with the output, if it is a detected one.
type Reported = (Change, Option<FoundOutput>);
/// What spends outputs of one row.
pub(super) type Spent = Vec<(OutPoint, Spend)>;

/// The keys of one `watch` request, and their reported payments.
pub(super) struct Watch {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) receiver: Arc<Prepared>,
    pub(super) addresses: HashMap<Option<u32>, Arc<str>>,
    pub(super) mailbox: Mailbox,
    pub(super) ledger: Ledger,
    pub(super) ledger_share: LedgerShare,
    /// Depths of `payment_confirmed`, in increasing order.
    pub(super) confirm_at: Box<[u32]>,
    /// The part of the history that is not sent yet.
    pub(super) history: Option<WatchHistory>,
    /// Blocks whose spends are to be looked up at the end of the history.
    pub(super) unchecked: Unchecked,
    /// Spends that were reported without their transactions, which may be known later.
    pub(super) unnamed: Unnamed,
    /// Height of the newest block that it knows.
    pub(super) tip: u32,
    /// If it goes on without a connection; its mailbox is then its own.
    pub(super) detached: Option<Box<Detachment>>,
}

/// What makes a watch a detached one.
#[derive(Debug)]
pub(super) struct Detachment {
    pub(super) token: TokenHash,
    /// How long it goes on without a connection.
    pub(super) lasts: Duration,
    /// When it ends; `None` while a connection is attached.
    pub(super) ends: Option<Instant>,
}

impl Watch {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The client of the scheduler that scans the current mempool for this watch only.
    pub(super) fn client(&self) -> Client {
        Client {
            owner: self.mailbox.owner(),
            address: self.mailbox.address(),
            keys: Arc::new([Entry::new(&self.receiver, vec![self.number])]),
        }
    }

    /// The payments of a row, for all watches with these keys.
    pub(super) fn payments(&self, row: &Row, matches: &[Match], place: Place) -> Payments {
        let payment = |found: &Match| {
            // Label 0 is for change (BIP352), and its address is not published: report the plain one.
            let label = found.label.filter(|m| *m != 0);
            let address = self.addresses.get(&label).cloned().unwrap_or_default();
            let (outpoint, payment) = payment_of(row, found, place, address, true);
            let output = FoundOutput {
                tweak_key: row.eligible.tweak,
                key: found.key,
            };
            FoundPayment {
                outpoint,
                payment,
                output,
            }
        };
        matches.iter().map(payment).collect()
    }

    /// Notifies the owner of new payments, and of their spends, which were seen before the scan found the payments.
    /// `tip` is the tip of the chain. Returns the number of payments.
    pub(super) fn found(&mut self, payments: &Payments, spends: &Spent, tip: u32) -> usize {
        if self.mailbox.is_dead() {
            return 0;
        }
        self.tip = tip;
        let confirm_at = self.confirm_at.clone();
        let (changes, count) = self.in_ledger(|ledger| {
            let (mut changes, mut count) = (Vec::new(), 0);
            for FoundPayment {
                outpoint,
                payment,
                output,
            } in payments
            {
                let seen = ledger.seen(*outpoint, payment.clone());
                count += usize::from(seen.is_some());
                changes.extend(seen.map(|change| (change, Some(*output))));
                let spent = spends.iter().filter(|(of, _)| of == outpoint);
                let mut others: Vec<Change> = spent
                    .flat_map(|(_, spend)| ledger.spent(*outpoint, spend.clone()))
                    .collect();
                others.extend(ledger.deepened_one(*outpoint, tip, &confirm_at));
                changes.extend(others.into_iter().map(|change| (change, None)));
            }
            (changes, count)
        });
        changes.into_iter().for_each(|c| self.notify(c));
        count
    }

    /// Notifies the owner of outputs that these transactions spend.
    pub(super) fn spent_in(&mut self, spends: &Spends) {
        self.apply(|ledger| ledger.spent_in(spends));
    }

    /// The chain has a tip at this height.
    pub(super) fn deepened(&mut self, tip: u32) {
        self.tip = tip;
        let confirm_at = self.confirm_at.clone();
        self.apply(|ledger| ledger.deepened(tip, &confirm_at));
    }

    /// Modifies the ledger, and notifies the owner of the changes.
    fn apply(&mut self, change: impl FnOnce(&mut Ledger) -> Vec<Change>) {
        let changes = self.in_ledger(change);
        changes.into_iter().for_each(|c| self.notify((c, None)));
    }

    /// Modifies the ledger, and counts its size: the connection is dropped if it exceeds its bound.
    fn in_ledger<T>(&mut self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let before = self.ledger.bytes();
        let changed = change(&mut self.ledger);
        let bytes = self.ledger.bytes();
        if bytes != before {
            self.ledger_share.resize(bytes);
        }
        changed
    }

    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) {
        self.apply(|ledger| ledger.left(txid, replaced_by));
    }

    /// A block was disconnected; the new tip is at `tip`. `contains`: whether a transaction that spends an output was
    /// in the block.
    pub(super) fn disconnected(&mut self, at: BlockRef, tip: u32, contains: impl Fn(&Txid) -> bool) {
        self.tip = tip;
        self.apply(|ledger| ledger.disconnected(at.hash, contains));
        if let Some(history) = &mut self.history {
            history.disconnected(at.height);
        }
        self.unchecked.end_below(at.height);
        self.finish_history(tip);
    }

    /// The chain continues from the block at `tip`, without those above `seen`. Returns whether there is a new history
    /// to scan.
    pub(super) fn jumped(&mut self, seen: Option<u32>, tip: u32, index: Option<&IndexStatus>) -> bool {
        let unseen = seen.map(|seen| seen.saturating_add(1)).filter(|from| *from <= tip);
        if index.is_some() {
            self.unchecked.restart(tip);
        }
        match (&mut self.history, unseen, index) {
            (Some(history), _, Some(index)) => {
                let is_settled_now = watch_history::settle(history, tip, index);
                // Of a history that waits for the look-up of spends, the scan has ended.
                let was_over = history.is_over();
                if !is_settled_now && unseen.is_some() {
                    history.extend(tip);
                }
                is_settled_now || (was_over && !history.is_over())
            }
            (None, Some(from), Some(index)) => {
                let mut history = watch_history::requested(Heights { from, to: Some(tip) });
                watch_history::settle(&mut history, tip, index);
                self.history = Some(history);
                true
            }
            (None, Some(from), None) => {
                self.history = Some(watch_history::unseen(from, tip));
                true
            }
            (_, _, _) => false,
        }
    }

    /// Sets the end of its history, if it has one.
    pub(super) fn settle(&mut self, tip: u32, index: &IndexStatus) {
        if let Some(history) = &mut self.history {
            watch_history::settle(history, tip, index);
        }
    }

    /// The state of its history, for the answer to the registration.
    pub(super) fn plan(&self, tip: Option<u32>, index: &IndexStatus) -> HistoryPlan {
        let history = self.history.as_ref();
        history.map_or_else(HistoryPlan::live_only, |history| {
            watch_history::plan(history, tip, index)
        })
    }

    /// Sends what a scan of the history found. Returns where the scan continues, and what was reported. `tip` is
    /// the tip of the chain, which contains the range, and the spends up to its height. `newest` returns what spends an
    /// output in the newest blocks or in the mempool; the spends of blocks up to `unknown` are neither there nor in the
    /// result of the scan.
    pub(super) fn scanned(
        &mut self,
        scanned: &ScannedRange,
        tip: u32,
        unknown: Option<u32>,
        newest: impl Fn(&OutPoint) -> Option<Spend>,
    ) -> (NextScan, Reports) {
        let Some(history) = self.history.as_mut().filter(|_| !self.mailbox.is_dead()) else {
            return (NextScan::Done, Reports::default());
        };
        let (from, to, now) = (scanned.from, scanned.through.height, clock::monotonic());
        let last = match scanned.missing {
            Some(reason) => {
                let left_out = history.skip(MissingBlocks { from, to, reason }, now);
                left_out.map(|range| range.to)
            }
            None => history.scanned(from, to, now),
        };
        // A reorganisation has changed the range meanwhile.
        let Some(last) = last else {
            return (self.next_scan(true), Reports::default());
        };
        let (mut count, mut unnamed) = (0, Vec::new());
        for found in scanned.found.iter().filter(|f| f.at.height <= last) {
            let place = Place::History(found.at, u64::from(found.time), tip.saturating_sub(found.at.height) + 1);
            for payment in self.payments(&found.row, &found.matches, place) {
                let outpoint = payment.outpoint;
                let known = found.spends.iter().find(|(vout, _)| *vout == outpoint.vout);
                let known = known.map(|(_, spend)| *spend).filter(|spend| spend.at.height <= tip);
                let coin = payment.payment.to_coin();
                let changes = self.in_ledger(|ledger| historical(ledger, payment, (known, newest(&outpoint)), tip));
                count += usize::from(!changes.is_empty());
                if known.is_some_and(|spend| spend.may_be_named) {
                    unnamed.extend(unnamed_in(changes.iter().map(|(change, _)| change), outpoint, coin));
                }
                changes.into_iter().for_each(|change| self.post(change));
            }
        }
        if let Some(unknown) = unknown.filter(|_| !scanned.found.is_empty()) {
            self.unchecked.extend(unknown);
        }
        self.report_progress(tip);
        let found = Reports {
            payments: count,
            names: self.leave_unnamed(unnamed),
        };
        (self.next_scan(false), found)
    }

    /// The outputs whose spends are to be looked up next, if the history is scanned; the same ones until they are
    /// [looked up](Self::looked_up). Ends the history if there are none.
    pub(super) fn look_up(&mut self, tip: u32) -> Option<LookUp> {
        if self.mailbox.is_dead() || self.history.as_ref().is_some_and(|history| !history.is_over()) {
            return None;
        }
        let Some(chunk) = self.unchecked.next(&self.ledger) else {
            self.finish_history(tip);
            return None;
        };
        Some(LookUp {
            of: Of::Watch(self.id.clone()),
            mailbox: Some(self.mailbox.clone()),
            chunk,
            is_retry: false,
        })
    }

    /// Notifies the owner of the spends of outputs that were looked up. `tip` is the tip of the chain, which contains
    /// the spends up to its height.
    pub(super) fn looked_up(&mut self, looked_up: &LookedUp, tip: u32) -> LeftUnnamed {
        self.unchecked.advance(&looked_up.look_up.chunk);
        let mut unnamed = Vec::new();
        for (outpoint, spend) in looked_up.up_to(tip) {
            let changes = self.in_ledger(|ledger| ledger.spent(outpoint, spend.to_spend()));
            if changes.is_empty() {
                continue;
            }
            if let Some(coin) = self.ledger.coin(&outpoint).filter(|_| spend.may_be_named) {
                unnamed.extend(unnamed_in(changes.iter(), outpoint, coin));
            }
            // What waits may be about the same output, and came before.
            if let Some(history) = &mut self.history {
                let waiting = history.release();
                self.mailbox.put_all(waiting);
            }
            changes.into_iter().for_each(|change| self.post((change, None)));
        }
        self.leave_unnamed(unnamed)
    }

    /// Keeps spends that were reported without their transactions.
    fn leave_unnamed(&mut self, unnamed: Vec<(OutPoint, Coin, u32)>) -> LeftUnnamed {
        let mut left = LeftUnnamed::default();
        for (outpoint, coin, height) in unnamed {
            left.all += 1;
            left.given_up += usize::from(!self.unnamed.add(outpoint, coin, height));
        }
        left
    }

    /// The spends whose transactions are to be looked up again, if that is not queued.
    pub(super) fn look_up_names(&mut self) -> Option<NameLookUp> {
        if self.mailbox.is_dead() {
            return None;
        }
        let (outputs, pause) = self.unnamed.next()?;
        Some(NameLookUp {
            watch_id: self.id.clone(),
            mailbox: self.mailbox.clone(),
            outputs,
            pause,
        })
    }

    /// Notifies the owner of the transactions of spends that were reported without them. `tip` is the tip of the chain,
    /// of which the index is too.
    pub(super) fn named(&mut self, named: &Named, tip: u32) {
        let mut changes = Vec::new();
        for (_, outpoint) in &named.look_up.outputs {
            match named.spends.get(outpoint) {
                // Later: detection has not connected its block, or the node has failed again.
                Some(spend) if spend.at.height > tip || (spend.by.is_none() && spend.may_be_named) => {}
                Some(spend) if spend.by.is_some() => {
                    let Some((coin, height)) = self.unnamed.take(outpoint) else {
                        continue;
                    };
                    let is_reported = height == spend.at.height && is_final(height, tip);
                    let spend = spend.to_spend();
                    // A final one is not kept in the ledger.
                    let change = if self.ledger.contains(outpoint) {
                        self.ledger.named(*outpoint, spend)
                    } else {
                        is_reported.then(|| Change {
                            outpoint: *outpoint,
                            event: Event::PaymentSpent(Box::new(coin.spent(*outpoint, &spend))),
                        })
                    };
                    changes.extend(change);
                }
                // The node does not have the block, or the output is not spent any more.
                Some(_) | None => drop(self.unnamed.take(outpoint)),
            }
        }
        self.unnamed.looked_up(!changes.is_empty());
        if changes.is_empty() {
            return;
        }
        // What waits may be about the same output, and came before.
        if let Some(history) = &mut self.history {
            let waiting = history.release();
            self.mailbox.put_all(waiting);
        }
        changes.into_iter().for_each(|change| self.post((change, None)));
    }

    /// Where its scan continues. `stale`: the last result could not be used.
    pub(super) fn next_scan(&self, stale: bool) -> NextScan {
        match self.range() {
            None => NextScan::Done,
            Some((next, until)) if stale => NextScan::Stale { next, until },
            Some((next, until)) => NextScan::Go { next, until },
        }
    }

    /// The next scan, if there is one.
    pub(super) fn scan(&self) -> Option<Scan> {
        let (next, until) = self.range()?;
        Some(Scan {
            watch_id: self.id.clone(),
            receiver: Arc::clone(&self.receiver),
            mailbox: self.mailbox.clone(),
            next,
            until,
            served: 0,
        })
    }

    /// Sends the progress of the history, if it has changed enough, and ends the history if all of it is sent.
    pub(super) fn report_progress(&mut self, tip: u32) {
        self.tip = tip;
        if let Some(progress) = self.progress(tip) {
            self.mailbox.post(progress);
        }
        self.finish_history(tip);
    }

    /// If all of the history is sent, with all spends, sends the last progress and the delayed notifications.
    fn finish_history(&mut self, tip: u32) {
        let is_sent = self.history.as_ref().is_some_and(WatchHistory::is_over);
        if !is_sent || !self.unchecked.is_over() {
            return;
        }
        let progress = self.last_progress(tip);
        let waiting = self.history.take().map(|mut history| history.release());
        // Together: a client that has received the last progress and then an event has received all delayed
        // notifications.
        self.mailbox
            .put_all(progress.into_iter().chain(waiting.into_iter().flatten()));
    }

    /// The progress message to send before the end, if due.
    fn progress(&mut self, tip: u32) -> Option<WatchMessage> {
        let history = self.history.as_mut().filter(|history| !history.is_over())?;
        let progress = history.progress(tip)?;
        Some(self.progress_message(progress))
    }

    fn last_progress(&mut self, tip: u32) -> Option<QueuedMessage> {
        let progress = self.history.as_mut()?.progress(tip)?;
        self.mailbox.queued(self.progress_message(progress))
    }

    fn progress_message(&self, progress: Progress) -> WatchMessage {
        let Progress { share, height, missing } = progress;
        WatchMessage::Progress(Box::new(WatchProgress {
            watch_id: self.id.clone(),
            progress: (share * 10_000.0).floor() / 10_000.0,
            height,
            missing,
            timestamp: unix_now(),
        }))
    }

    /// The next block of its history, and the last.
    fn range(&self) -> Option<(u32, u32)> {
        match self.history.as_ref()?.next() {
            NextRange::Scan { from, to } => Some((from, to)),
            NextRange::Waiting | NextRange::Done => None,
        }
    }

    /// A block was disconnected before it was scanned to its end: unconfirmed payments of its transactions are
    /// reverted.
    pub(super) fn left_with_block(&mut self, contains: impl Fn(&Txid) -> bool) {
        self.mempool_is(|txid| !contains(txid));
    }

    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) {
        self.apply(|ledger| ledger.mempool_is(contains));
    }

    pub(super) fn finalize(&mut self, height: u32) {
        self.in_ledger(|ledger| ledger.finalize(height));
    }

    /// What was in the mempool at its registration is scanned.
    pub(super) fn mempool_scanned(&mut self) {
        let watch_id = self.id.clone();
        self.send(self.mailbox.queued(WatchMessage::MempoolScanned { watch_id }));
    }

    /// The chain and the mempool are known as a whole, and scanned.
    pub(super) fn settled(&mut self) {
        let watch_id = self.id.clone();
        self.send(self.mailbox.queued(WatchMessage::Settled { watch_id }));
    }

    /// Events of a watch are not logged, and have no `event_id`.
    fn notify(&mut self, reported: Reported) {
        self.send(self.queued(reported));
    }

    /// Sends a live message, after those that wait for the history.
    fn send(&mut self, queued: Option<QueuedMessage>) {
        let Some(queued) = queued else {
            return;
        };
        match &mut self.history {
            Some(history) => {
                let messages = history.live(queued, self.mailbox.may_hold());
                self.mailbox.put_all(messages);
            }
            None => self.mailbox.put(queued),
        }
    }

    fn post(&self, reported: Reported) {
        self.mailbox.put_all(self.queued(reported));
    }

    fn queued(&self, reported: Reported) -> Option<QueuedMessage> {
        let from_height = self.detached.as_ref().map_or(0, |_| self.found_again_from(&reported.0));
        self.mailbox.queued_from(message(reported, &self.id), from_height)
    }

    /// The `from_height` of a watch that would find this change again: the block of the payment, if that is known, as a
    /// watch reports no spend of a payment that it does not know.
    fn found_again_from(&self, change: &Change) -> u32 {
        let of_payment = self.ledger.height_of(&change.outpoint);
        let of_event = change.event.block_height();
        let in_block = of_payment.into_iter().chain(of_event).min();
        in_block.unwrap_or_else(|| self.tip.saturating_add(1))
    }
}

/// What was reported of a part of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reports {
    pub(super) payments: usize,
    pub(super) names: LeftUnnamed,
}

/// Spends that were reported without their transactions, which the node may name later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftUnnamed {
    pub(super) all: usize,
    /// Those that are not looked up again, because there are too many.
    pub(super) given_up: usize,
}

/// The spend among these changes of an output that is reported without its transaction, with the height of its block.
fn unnamed_in<'a>(
    changes: impl Iterator<Item = &'a Change>,
    outpoint: OutPoint,
    coin: Coin,
) -> Option<(OutPoint, Coin, u32)> {
    let height = |change: &Change| match &change.event {
        Event::PaymentDetected(payment) => payment.spent_height.filter(|_| payment.spent_by.is_none()),
        Event::PaymentSpent(spent) => spent.block_height.filter(|_| spent.spent_by.is_none()),
        _ => None,
    };
    changes.filter_map(height).last().map(|height| (outpoint, coin, height))
}

/// Whether no reorganisation reverts a block at this height.
fn is_final(height: u32, tip: u32) -> bool {
    tip.checked_sub(KEPT_BLOCKS).is_some_and(|last| height <= last)
}

/// The changes by a payment that a history has found: what spends it in the index, and in the newest blocks or in the
/// mempool. A payment or a spend that is final is not kept, but for the output of one that is not spent.
fn historical(
    ledger: &mut Ledger,
    found: FoundPayment,
    (known, newest): (Option<ChainSpend>, Option<Spend>),
    tip: u32,
) -> Vec<Reported> {
    let FoundPayment {
        outpoint,
        payment,
        output,
    } = found;
    let is_final = |height: u32| is_final(height, tip);
    // The newest blocks name what the index may not.
    let spend = match (known.map(ChainSpend::to_spend), newest) {
        (Some(known), Some(newest)) if newest.block == known.block => Some(newest),
        (Some(known), _) => Some(known),
        (None, newest) => newest,
    };
    let in_block = spend.as_ref().and_then(|spend| Some((spend.by, spend.block?.0)));
    let coin = payment.to_coin();
    let height = coin.height;
    let change = if is_final(height) {
        // Each block of a history is scanned once, and payments that deep are not reverted.
        Some(Change::detected(outpoint, &payment))
    } else {
        ledger.seen(outpoint, payment)
    };
    let Some(mut change) = change else {
        return Vec::new();
    };
    if let Event::PaymentDetected(payment) = &mut change.event {
        payment.spent_by = in_block.and_then(|(txid, _)| txid).map(|txid| txid.to_string());
        payment.spent_height = in_block.map(|(_, height)| height);
    }
    let mut changes = vec![(change, Some(output))];
    let is_spent = in_block.is_some_and(|(_, height)| is_final(height));
    if is_final(height) && !is_spent {
        ledger.found(outpoint, coin);
    }
    match spend {
        Some(spend) if spend.block.is_none() => {
            let spent = ledger.spent(outpoint, spend).into_iter();
            changes.extend(spent.map(|change| (change, None)));
        }
        Some(spend) if !is_spent => ledger.found_spent(outpoint, spend),
        Some(_) | None => {}
    }
    changes
}

fn message((mut change, found): Reported, watch_id: &str) -> WatchMessage {
    change.event.set_watch_id(watch_id.to_owned());
    let notification = Notification {
        event: change.event,
        timestamp: unix_now(),
        event_id: None,
        watch_seq: None,
    };
    WatchMessage::Payment(Box::new(PaymentMessage {
        outpoint: change.outpoint,
        notification,
        found,
    }))
}

#[cfg(test)]
mod tests;
