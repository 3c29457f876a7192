//! The watches of all connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bitcoin::Txid;
use sdk_relay_bip352::{Match, Receiver};
use sdk_relay_protocol::{Notification, ServerMessage, WatchProgress};

use super::commands::{Mailbox, WatchOrder, WatchRefused};
use super::history::{Scan, Stretch};
use super::ledger::{Change, Ledger};
use super::past::{Past, Standing};
use super::rows::{Place, Row};
use crate::clock::unix_now;
use crate::hub::Frame;

/// One client's keys, and what it has been told.
pub(super) struct Watch {
    id: String,
    pub(super) receiver: Arc<Receiver>,
    addresses: HashMap<Option<u32>, String>,
    mailbox: Mailbox,
    ledger: Ledger,
    /// What is yet to be told of the past.
    past: Option<Past>,
}

/// All watches, in the order in which they came.
#[derive(Default)]
pub(super) struct Watches {
    all: BTreeMap<u64, Watch>,
    numbers: HashMap<String, u64>,
    last: u64,
}

impl Watches {
    pub(super) fn add(
        &mut self,
        order: WatchOrder,
        past: Option<Past>,
        most: usize,
    ) -> Result<&mut Watch, WatchRefused> {
        self.forget_dead();
        if self.all.len() >= most {
            return Err(WatchRefused::Full);
        }
        self.last += 1;
        let id = format!("watch-{}", self.last);
        self.numbers.insert(id.clone(), self.last);
        let WatchOrder {
            receiver,
            addresses,
            mailbox,
            history: _,
        } = order;
        let watch = Watch {
            id,
            receiver: Arc::new(receiver),
            addresses,
            mailbox,
            ledger: Ledger::default(),
            past,
        };
        Ok(self.all.entry(self.last).or_insert(watch))
    }

    pub(super) fn remove(&mut self, id: &str) {
        if let Some(number) = self.numbers.remove(id) {
            self.all.remove(&number);
        }
    }

    /// Ends the watches of one connection.
    pub(super) fn remove_of(&mut self, mailbox: &Mailbox) {
        self.retain(|watch| !watch.mailbox.is_same(mailbox));
    }

    /// Ends the watches that nobody can be told about any more.
    pub(super) fn forget_dead(&mut self) {
        self.retain(|watch| !watch.mailbox.is_dead());
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

    /// With the number of each, which no other watch ever has.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Watch)> {
        self.all.iter().map(|(number, watch)| (*number, watch))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.all.values_mut()
    }

    fn retain(&mut self, keep: impl Fn(&Watch) -> bool) {
        let before = self.all.len();
        self.all.retain(|_, watch| keep(watch));
        if self.all.len() < before {
            self.numbers.retain(|_, number| self.all.contains_key(number));
        }
    }
}

impl Watch {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Tells the owner of payments that a row holds for it. Gives how many were news.
    pub(super) fn found(&mut self, row: &Row, matches: &[Match], place: Place) -> usize {
        let changes = self.changes(row, matches, place);
        let news = changes.len();
        changes.into_iter().for_each(|c| self.tell(c));
        news
    }

    /// What is news of these payments.
    fn changes(&mut self, row: &Row, matches: &[Match], place: Place) -> Vec<Change> {
        let mut changes = Vec::new();
        for found in matches {
            // Change is a payment to the plain address as far as anybody else may know.
            let label = found.label.filter(|m| *m != 0);
            let address = self.addresses.get(&label).cloned().unwrap_or_default();
            let (outpoint, payment) = row.payment(found, place, address, Some(&self.id));
            changes.extend(self.ledger.seen(outpoint, payment));
        }
        changes
    }

    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) {
        let changes = self.ledger.left(txid, replaced_by);
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn disconnected(&mut self, height: u32, block_hash: &str) {
        let changes = self.ledger.disconnected(block_hash);
        changes.into_iter().for_each(|c| self.tell(c));
        if let Some(past) = &mut self.past {
            past.disconnected(height);
        }
        self.end_past();
    }

    /// Tells what a scan found, as far as it is news, and where the scan goes on. `tip` is that of the chain, and the stretch lies in it.
    pub(super) fn past(&mut self, stretch: &Stretch, tip: u32) -> (Standing, usize) {
        let Some(past) = &mut self.past else {
            return (Standing::Done, 0);
        };
        let until = past.until();
        if past.next() != stretch.from {
            // A reorganisation has moved it meanwhile.
            return (self.standing(true), 0);
        }
        past.through(stretch.through);
        let mut news = 0;
        for found in stretch.found.iter().filter(|f| f.at.height <= until) {
            let place = Place::Past(found.at, u64::from(found.time), tip.saturating_sub(found.at.height) + 1);
            for change in self.changes(&found.row, &found.matches, place) {
                self.post(change);
                news += 1;
            }
        }
        self.tell_progress();
        self.end_past();
        (self.standing(false), news)
    }

    /// Where its scan is to go on. `stale`: what was brought could not be used.
    pub(super) fn standing(&self, stale: bool) -> Standing {
        match &self.past {
            None => Standing::Done,
            Some(past) => {
                let (next, until) = (past.next(), past.until());
                if stale {
                    Standing::Stale { next, until }
                } else {
                    Standing::Go { next, until }
                }
            }
        }
    }

    /// The scan that is due, where there is one.
    pub(super) fn scan(&self) -> Option<Scan> {
        let past = self.past.as_ref()?;
        Some(Scan {
            watch_id: self.id.clone(),
            receiver: Arc::clone(&self.receiver),
            mailbox: self.mailbox.clone(),
            next: past.next(),
            until: past.until(),
            served: 0,
        })
    }

    /// Tells how far the history is, where that is news.
    pub(super) fn tell_progress(&mut self) {
        let Some(past) = &mut self.past else { return };
        let height = past.next().saturating_sub(1);
        if let Some(progress) = past.progress() {
            self.mailbox
                .post(Frame::encode(&ServerMessage::WatchProgress(WatchProgress {
                    watch_id: self.id.clone(),
                    progress: (progress * 10_000.0).floor() / 10_000.0,
                    height,
                    timestamp: unix_now(),
                })));
        }
    }

    /// Ends the past where all of it is told, and tells what has waited for that.
    pub(super) fn end_past(&mut self) {
        if self.past.as_ref().is_some_and(Past::is_over) {
            self.tell_progress();
            if let Some(mut past) = self.past.take() {
                past.release().into_iter().for_each(|frame| self.mailbox.post(frame));
            }
        }
    }

    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) {
        let changes = self.ledger.mempool_is(contains);
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn bury(&mut self, height: u32) {
        self.ledger.bury(height);
    }

    /// A watch's events are in no log and have no number.
    fn tell(&mut self, change: Change) {
        let frame = encoded(change);
        match &mut self.past {
            Some(past) => past.hold(frame).into_iter().for_each(|frame| self.mailbox.post(frame)),
            None => self.mailbox.post(frame),
        }
    }

    fn post(&self, change: Change) {
        self.mailbox.post(encoded(change));
    }
}

fn encoded(change: Change) -> Frame {
    let notification = Notification {
        event: change.event,
        timestamp: unix_now(),
        event_id: None,
    };
    Frame::encode(&ServerMessage::Notification(notification))
}
