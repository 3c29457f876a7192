//! One watch: its keys, its reported payments, and its history.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_backfill::{Heights, NextRange, Progress};
use sdk_relay_bip352::{Match, Prepared};
use sdk_relay_index::IndexStatus;
use sdk_relay_platform::clock;
use sdk_relay_protocol::{Event, MissingBlocks, Notification, WatchProgress};
use sdk_relay_scheduler::{Client, Entry, Row};
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_telemetry::clock::unix_now;

use super::history_scan::{NextScan, Scan, ScannedRange};
use super::known_payment::KnownPayment;
use super::ledger::{Change, Ledger};
use super::mailbox::{LedgerShare, Mailbox, QueuedMessage};
use super::rows::{Place, payment_of};
use super::watch_history::{self, HistoryPlan, WatchHistory};
use super::watch_message::{FoundOutput, PaymentMessage, WatchMessage};

/// Payments of one row.
type Payments = Vec<FoundPayment>;

/// A payment, and its output as the scan found it.
pub(super) struct FoundPayment {
    outpoint: OutPoint,
    payment: KnownPayment,
    output: FoundOutput,
}

/// A change to report; with the output, if it is a detected one.
type Reported = (Change, Option<FoundOutput>);

/// The keys of one `watch` request, and their reported payments.
pub(super) struct Watch {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) receiver: Arc<Prepared>,
    pub(super) addresses: HashMap<Option<u32>, Arc<str>>,
    pub(super) mailbox: Mailbox,
    pub(super) ledger: Ledger,
    pub(super) ledger_share: LedgerShare,
    /// The part of the history that is not sent yet.
    pub(super) history: Option<WatchHistory>,
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

    /// Notifies the owner of new payments. Returns their number.
    pub(super) fn found(&mut self, payments: &Payments) -> usize {
        if self.mailbox.is_dead() {
            return 0;
        }
        let changes = self.changes(payments);
        let count = changes.len();
        changes.into_iter().for_each(|c| self.notify(c));
        count
    }

    /// The changes caused by these payments.
    fn changes(&mut self, payments: &Payments) -> Vec<Reported> {
        self.in_ledger(|ledger| {
            let change = |found: &FoundPayment| {
                let change = ledger.seen(found.outpoint, found.payment.clone())?;
                Some((change, Some(found.output)))
            };
            payments.iter().filter_map(change).collect()
        })
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
        let changes = self.in_ledger(|ledger| ledger.left(txid, replaced_by));
        changes.into_iter().for_each(|c| self.notify((c, None)));
    }

    /// A block was disconnected; the new tip is at `tip`.
    pub(super) fn disconnected(&mut self, height: u32, block: BlockHash, tip: u32) {
        let changes = self.in_ledger(|ledger| ledger.disconnected(block));
        changes.into_iter().for_each(|c| self.notify((c, None)));
        if let Some(history) = &mut self.history {
            history.disconnected(height);
        }
        self.finish_history(tip);
    }

    /// The chain continues from the block at `tip`, without those above `seen`. Returns whether there is a new history
    /// to scan.
    pub(super) fn jumped(&mut self, seen: Option<u32>, tip: u32, index: Option<&IndexStatus>) -> bool {
        let unseen = seen.map(|seen| seen.saturating_add(1)).filter(|from| *from <= tip);
        match (&mut self.history, unseen, index) {
            (Some(history), _, Some(index)) => {
                let is_settled_now = watch_history::settle(history, tip, index);
                if !is_settled_now && unseen.is_some() {
                    history.extend(tip);
                }
                is_settled_now
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

    /// Sends what a scan of the history found. Returns where the scan continues, and the number of payments. `tip` is
    /// the tip of the chain, which contains the range.
    pub(super) fn scanned(&mut self, scanned: &ScannedRange, tip: u32) -> (NextScan, usize) {
        let Some(history) = self.history.as_mut().filter(|_| !self.mailbox.is_dead()) else {
            return (NextScan::Done, 0);
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
            return (self.next_scan(true), 0);
        };
        let finalized = tip.checked_sub(KEPT_BLOCKS);
        let mut count = 0;
        for found in scanned.found.iter().filter(|f| f.at.height <= last) {
            let place = Place::History(found.at, u64::from(found.time), tip.saturating_sub(found.at.height) + 1);
            let payments = self.payments(&found.row, &found.matches, place);
            let is_final = finalized.is_some_and(|finalized| found.at.height <= finalized);
            let changes = if is_final {
                // Each block of a history is scanned once, and payments that deep are not reverted.
                payments
                    .iter()
                    .map(|found| (Change::detected(found.outpoint, &found.payment), Some(found.output)))
                    .collect()
            } else {
                self.changes(&payments)
            };
            for change in changes {
                self.post(change);
                count += 1;
            }
        }
        self.report_progress(tip);
        (self.next_scan(false), count)
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
        if let Some(progress) = self.progress(tip) {
            self.mailbox.post(progress);
        }
        self.finish_history(tip);
    }

    /// If all of the history is sent, sends the last progress and the delayed notifications.
    fn finish_history(&mut self, tip: u32) {
        if !self.history.as_ref().is_some_and(WatchHistory::is_over) {
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
        let changes = self.in_ledger(|ledger| ledger.mempool_is(contains));
        changes.into_iter().for_each(|c| self.notify((c, None)));
    }

    pub(super) fn finalize(&mut self, height: u32) {
        self.in_ledger(|ledger| ledger.finalize(height));
    }

    /// Events of a watch are not logged, and have no `event_id`.
    fn notify(&mut self, reported: Reported) {
        let Some(queued) = self.mailbox.queued(message(reported, &self.id)) else {
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
        self.mailbox.post(message(reported, &self.id));
    }
}

fn message((mut change, found): Reported, watch_id: &str) -> WatchMessage {
    if let Event::PaymentDetected(payment) | Event::PaymentReverted(payment) = &mut change.event {
        payment.watch_id = Some(watch_id.to_owned());
    }
    let notification = Notification {
        event: change.event,
        timestamp: unix_now(),
        event_id: None,
    };
    WatchMessage::Payment(Box::new(PaymentMessage {
        outpoint: change.outpoint,
        notification,
        found,
    }))
}

#[cfg(test)]
mod tests;
