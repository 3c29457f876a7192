//! The watches of all connections.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bitcoin::secp256k1::rand::RngCore;
use bitcoin::secp256k1::rand::rngs::OsRng;
use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_bip352::{Match, Prepared};
use sdk_relay_events::Frame;
use sdk_relay_index::IndexStatus;
use sdk_relay_protocol::{Event, MissingBlocks, Notification, ServerMessage, WatchProgress};
use sdk_relay_store::format::KEPT_BLOCKS;
use sdk_relay_telemetry::clock::unix_now;

use super::commands::{Heights, WatchOrder, WatchRefused};
use super::history::{Scan, Stretch};
use super::known_payment::KnownPayment;
use super::ledger::{Change, Ledger};
use super::mailbox::{LedgerShare, Letter, Mailbox};
use super::past::{Outlook, Past, Progress, Standing};
use super::rows::{Place, Row};
use super::scheduler::{Client, Entry, Owner};

/// Payments of one row, by their places.
type Payments = Vec<(OutPoint, KnownPayment)>;

/// One client's keys, and what it has been told.
pub(super) struct Watch {
    id: String,
    number: u64,
    pub(super) receiver: Arc<Prepared>,
    addresses: HashMap<Option<u32>, Arc<str>>,
    mailbox: Mailbox,
    ledger: Ledger,
    ledger_share: LedgerShare,
    /// What is yet to be told of the past.
    past: Option<Past>,
}

/// All watches, in the order in which they came.
#[derive(Default)]
pub(super) struct Watches {
    all: BTreeMap<u64, Watch>,
    numbers: HashMap<String, u64>,
    last: u64,
    /// The connections that have watches.
    owners: BTreeMap<Owner, Connection>,
    /// Connections that have no watches any more and whose scans are to be dropped.
    gone: Vec<Owner>,
    /// Watches with equal keys share them, by [`sdk_relay_bip352::Receiver::fingerprint`].
    keys: HashMap<[u8; 32], Weak<Prepared>>,
}

/// A connection that has watches.
struct Connection {
    mailbox: Mailbox,
    watches: BTreeSet<u64>,
    client: Client,
    /// First events of what is being scanned for it, and how often: it may see events below the first.
    held: BTreeMap<u64, usize>,
}

impl Watches {
    pub(super) fn add(
        &mut self,
        order: WatchOrder,
        past: Option<Past>,
        most: usize,
    ) -> Result<&mut Watch, WatchRefused> {
        self.forget_dead();
        if order.mailbox.is_dead() {
            // Its connection has ended while the order waited: nobody reads the answer.
            return Err(WatchRefused::Ending);
        }
        if self.all.len() >= most {
            return Err(WatchRefused::Full);
        }
        self.last += 1;
        let number = self.last;
        // Not the number: it would say how many watches others have registered.
        let id = format!("watch-{:016x}", OsRng.next_u64());
        self.numbers.insert(id.clone(), number);
        let WatchOrder {
            receiver,
            addresses,
            mailbox,
            history: _,
        } = order;
        let receiver = self.shared(receiver);
        let addresses = addresses.into_iter().map(|(label, address)| (label, address.into()));
        let owner = mailbox.owner();
        let connection = self.owners.entry(owner).or_insert_with(|| Connection {
            client: Client {
                owner,
                address: mailbox.address(),
                keys: Arc::default(),
            },
            mailbox: mailbox.clone(),
            watches: BTreeSet::new(),
            held: BTreeMap::new(),
        });
        connection.watches.insert(number);
        let watch = Watch {
            id,
            number,
            receiver,
            addresses: addresses.collect(),
            ledger_share: mailbox.ledger_share(),
            mailbox,
            ledger: Ledger::default(),
            past,
        };
        self.all.insert(number, watch);
        self.list_keys(owner);
        self.all.get_mut(&number).ok_or(WatchRefused::Ending)
    }

    /// The same keys as another watch has, where there is one: they are scanned once.
    fn shared(&mut self, receiver: Prepared) -> Arc<Prepared> {
        let fingerprint = receiver.fingerprint();
        if let Some(known) = self.keys.get(&fingerprint).and_then(Weak::upgrade) {
            return known;
        }
        if self.keys.len() > 2 * self.all.len() {
            self.keys.retain(|_, keys| keys.strong_count() > 0);
        }
        let receiver = Arc::new(receiver);
        self.keys.insert(fingerprint, Arc::downgrade(&receiver));
        receiver
    }

    pub(super) fn remove(&mut self, id: &str) {
        let Some(watch) = self.numbers.remove(id).and_then(|number| self.all.remove(&number)) else {
            return;
        };
        let owner = watch.mailbox.owner();
        if let Some(connection) = self.owners.get_mut(&owner) {
            connection.watches.remove(&watch.number);
            if connection.watches.is_empty() {
                self.remove_owner(owner);
            } else {
                self.list_keys(owner);
            }
        }
    }

    /// Ends the watches of one connection.
    pub(super) fn remove_of(&mut self, mailbox: &Mailbox) {
        self.remove_owner(mailbox.owner());
    }

    /// Ends the watches that nobody can be told about any more.
    pub(super) fn forget_dead(&mut self) {
        let dead = self
            .owners
            .iter()
            .filter(|(_, connection)| connection.mailbox.is_dead());
        for owner in dead.map(|(owner, _)| *owner).collect::<Vec<_>>() {
            self.remove_owner(owner);
        }
    }

    /// Connections that have no watches any more, since the last call.
    pub(super) fn gone(&mut self) -> Vec<Owner> {
        std::mem::take(&mut self.gone)
    }

    /// Sends the live news that wait for histories which do not get on.
    pub(super) fn release_stalled(&mut self) {
        let now = Instant::now();
        for watch in self.all.values_mut() {
            if let Some(past) = &mut watch.past {
                let news = past.release_stalled(now);
                news.into_iter().for_each(|letter| watch.mailbox.put(letter));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Watch> {
        self.all.get_mut(self.numbers.get(id)?)
    }

    pub(super) fn by_number(&mut self, number: u64) -> Option<&mut Watch> {
        self.all.get_mut(&number)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.all.values_mut()
    }

    /// Those for whom everything that comes is scanned.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.owners.values().map(|connection| &connection.client)
    }

    /// Has every connection with watches see nothing from this event on, until as many scans have ended for it.
    pub(super) fn hold(&mut self, event: u64) {
        for connection in self.owners.values_mut() {
            *connection.held.entry(event).or_default() += 1;
            connection.set_barrier();
        }
    }

    /// A scan for this connection has ended, which held these events back.
    pub(super) fn release(&mut self, owner: Owner, event: u64) {
        let Some(connection) = self.owners.get_mut(&owner) else {
            return;
        };
        if let Some(scans) = connection.held.get_mut(&event) {
            *scans = scans.saturating_sub(1);
            if *scans == 0 {
                connection.held.remove(&event);
            }
        }
        connection.set_barrier();
    }

    /// The scans for this connection are too far behind, or have failed: it has to begin anew.
    pub(super) fn give_up(&mut self, owner: Owner, is_behind: bool) {
        if let Some(Connection { mailbox, .. }) = self.owners.get(&owner) {
            if is_behind {
                mailbox.give_up_behind();
            } else {
                mailbox.give_up_failed();
            }
        }
        self.remove_owner(owner);
    }

    fn remove_owner(&mut self, owner: Owner) {
        let Some(connection) = self.owners.remove(&owner) else {
            return;
        };
        for number in connection.watches {
            if let Some(watch) = self.all.remove(&number) {
                self.numbers.remove(&watch.id);
            }
        }
        if self.all.is_empty() {
            self.keys.clear();
        }
        connection.mailbox.set_barrier(u64::MAX);
        self.gone.push(owner);
    }

    fn list_keys(&mut self, owner: Owner) {
        let Some(connection) = self.owners.get_mut(&owner) else {
            return;
        };
        let mut by_keys: BTreeMap<*const Prepared, (&Arc<Prepared>, Vec<u64>)> = BTreeMap::new();
        for watch in connection.watches.iter().filter_map(|number| self.all.get(number)) {
            let keys = by_keys.entry(Arc::as_ptr(&watch.receiver));
            keys.or_insert_with(|| (&watch.receiver, Vec::new()))
                .1
                .push(watch.number);
        }
        let entries = by_keys.into_values();
        connection.client.keys = entries.map(|(keys, watches)| Entry::new(keys, watches)).collect();
    }
}

impl Connection {
    fn set_barrier(&self) {
        let first = self.held.keys().next();
        self.mailbox
            .set_barrier(first.map_or(u64::MAX, |event| event.saturating_sub(1)));
    }
}

impl Watch {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The client that scans the mempool, as it stands, for this watch alone.
    pub(super) fn client(&self) -> Client {
        Client {
            owner: self.mailbox.owner(),
            address: self.mailbox.address(),
            keys: Arc::new([Entry::new(&self.receiver, vec![self.number])]),
        }
    }

    /// What a row holds, for all watches with these keys.
    pub(super) fn payments(&self, row: &Row, matches: &[Match], place: Place) -> Payments {
        let payment = |found: &Match| {
            // Change is a payment to the plain address as far as anybody else may know.
            let label = found.label.filter(|m| *m != 0);
            let address = self.addresses.get(&label).cloned().unwrap_or_default();
            row.payment(found, place, address, true)
        };
        matches.iter().map(payment).collect()
    }

    /// Notifies the owner of these payments, as far as they are news. Gives how many were.
    pub(super) fn found(&mut self, payments: &Payments) -> usize {
        if self.mailbox.is_dead() {
            return 0;
        }
        let changes = self.changes(payments);
        let news = changes.len();
        changes.into_iter().for_each(|c| self.tell(c));
        news
    }

    /// What is news of these payments.
    fn changes(&mut self, payments: &Payments) -> Vec<Change> {
        self.in_ledger(|ledger| {
            let seen = payments.iter();
            seen.filter_map(|(outpoint, payment)| ledger.seen(*outpoint, payment.clone()))
                .collect()
        })
    }

    /// Changes the ledger, and counts what it takes then: the connection is given up where that is too much.
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
        changes.into_iter().for_each(|c| self.tell(c));
    }

    /// A block left the chain, whose tip is then at `tip`.
    pub(super) fn disconnected(&mut self, height: u32, block: BlockHash, tip: u32) {
        let changes = self.in_ledger(|ledger| ledger.disconnected(block));
        changes.into_iter().for_each(|c| self.tell(c));
        if let Some(past) = &mut self.past {
            past.disconnected(height);
        }
        self.end_past(tip);
    }

    /// The chain goes on from the block at `tip`, without those above `seen`. Whether it has a history to scan that it had not before.
    pub(super) fn jumped(&mut self, seen: Option<u32>, tip: u32, index: Option<&IndexStatus>) -> bool {
        let unseen = seen.map(|seen| seen.saturating_add(1)).filter(|from| *from <= tip);
        match (&mut self.past, unseen, index) {
            (Some(past), _, Some(index)) => {
                let is_settled_now = past.settle(tip, index);
                if !is_settled_now && unseen.is_some() {
                    past.extend(tip);
                }
                is_settled_now
            }
            (None, Some(from), Some(index)) => {
                let mut past = Past::new(Heights { from, to: Some(tip) });
                past.settle(tip, index);
                self.past = Some(past);
                true
            }
            (None, Some(from), None) => {
                self.past = Some(Past::unseen(from, tip));
                true
            }
            (_, _, _) => false,
        }
    }

    /// Sets the end of its history, where it has one.
    pub(super) fn settle(&mut self, tip: u32, index: &IndexStatus) {
        if let Some(past) = &mut self.past {
            past.settle(tip, index);
        }
    }

    /// What the answer to the registration says of its history.
    pub(super) fn outlook(&self, tip: Option<u32>, index: &IndexStatus) -> Outlook {
        let past = self.past.as_ref();
        past.map_or_else(Outlook::live_only, |past| past.outlook(tip, index))
    }

    /// Tells what a scan found, as far as it is news, and where the scan goes on. `tip` is that of the chain, and the stretch lies in it.
    pub(super) fn past(&mut self, stretch: &Stretch, tip: u32) -> (Standing, usize) {
        let Some(past) = self.past.as_mut().filter(|_| !self.mailbox.is_dead()) else {
            return (Standing::Done, 0);
        };
        let until = match past.range() {
            Some((next, until)) if next == stretch.from => until,
            // A reorganisation has moved it meanwhile.
            _ => return (self.standing(true), 0),
        };
        match stretch.missing {
            Some(reason) => past.skip(MissingBlocks {
                from: stretch.from,
                to: stretch.through.height,
                reason,
            }),
            None => past.through(stretch.through),
        }
        let buried = tip.checked_sub(KEPT_BLOCKS);
        let mut news = 0;
        for found in stretch.found.iter().filter(|f| f.at.height <= until) {
            let place = Place::Past(found.at, u64::from(found.time), tip.saturating_sub(found.at.height) + 1);
            let payments = self.payments(&found.row, &found.matches, place);
            let is_buried = buried.is_some_and(|buried| found.at.height <= buried);
            let changes = if is_buried {
                // Each block of a history is scanned once, and no reorganisation that can be told reaches these.
                payments
                    .iter()
                    .map(|(o, payment)| Change::detected(*o, payment))
                    .collect()
            } else {
                self.changes(&payments)
            };
            for change in changes {
                self.post(change);
                news += 1;
            }
        }
        self.tell_progress(tip);
        self.end_past(tip);
        (self.standing(false), news)
    }

    /// Where its scan is to go on. `stale`: what was brought could not be used.
    pub(super) fn standing(&self, stale: bool) -> Standing {
        match self.past.as_ref().and_then(Past::range) {
            None => Standing::Done,
            Some((next, until)) if stale => Standing::Stale { next, until },
            Some((next, until)) => Standing::Go { next, until },
        }
    }

    /// The scan that is due, where there is one.
    pub(super) fn scan(&self) -> Option<Scan> {
        let (next, until) = self.past.as_ref()?.range()?;
        Some(Scan {
            watch_id: self.id.clone(),
            receiver: Arc::clone(&self.receiver),
            mailbox: self.mailbox.clone(),
            next,
            until,
            served: 0,
        })
    }

    /// Tells how far the history is, where that is news.
    pub(super) fn tell_progress(&mut self, tip: u32) {
        let progress = self.past.as_mut().and_then(|past| past.progress(tip));
        if let Some(Progress { share, height, missing }) = progress {
            self.mailbox
                .post(Frame::encode(&ServerMessage::WatchProgress(WatchProgress {
                    watch_id: self.id.clone(),
                    progress: (share * 10_000.0).floor() / 10_000.0,
                    height,
                    missing,
                    timestamp: unix_now(),
                })));
        }
    }

    /// Ends the past where all of it is told, and tells what has waited for that.
    pub(super) fn end_past(&mut self, tip: u32) {
        if self.past.as_ref().is_some_and(Past::is_over) {
            self.tell_progress(tip);
            if let Some(mut past) = self.past.take() {
                past.release().into_iter().for_each(|letter| self.mailbox.put(letter));
            }
        }
    }

    /// A block left the chain before it was scanned to its end: what was told to wait in the mempool and was in it waits no longer.
    pub(super) fn left_with_block(&mut self, contains: impl Fn(&Txid) -> bool) {
        self.mempool_is(|txid| !contains(txid));
    }

    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) {
        let changes = self.in_ledger(|ledger| ledger.mempool_is(contains));
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn bury(&mut self, height: u32) {
        self.in_ledger(|ledger| ledger.bury(height));
    }

    /// A watch's events are in no log and have no number.
    fn tell(&mut self, change: Change) {
        let Some(letter) = self.mailbox.letter(encoded(change, &self.id)) else {
            return;
        };
        let news: Vec<Letter> = match &mut self.past {
            Some(past) if self.mailbox.may_hold() => past.hold(letter),
            Some(past) => past.release().into_iter().chain([letter]).collect(),
            None => vec![letter],
        };
        news.into_iter().for_each(|letter| self.mailbox.put(letter));
    }

    fn post(&self, change: Change) {
        self.mailbox.post(encoded(change, &self.id));
    }
}

fn encoded(mut change: Change, watch_id: &str) -> Frame {
    if let Event::PaymentDetected(payment) | Event::PaymentReverted(payment) = &mut change.event {
        payment.watch_id = Some(watch_id.to_owned());
    }
    let notification = Notification {
        event: change.event,
        timestamp: unix_now(),
        event_id: None,
    };
    Frame::encode(&ServerMessage::Notification(notification))
}

#[cfg(test)]
mod tests;
