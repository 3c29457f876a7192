//! The watches of all connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bitcoin::Txid;
use sdk_relay_bip352::{Match, Receiver};
use sdk_relay_protocol::{Notification, ServerMessage};

use super::commands::{Mailbox, WatchOrder, WatchRefused};
use super::ledger::{Change, Ledger};
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
}

/// All watches, in the order in which they came.
#[derive(Default)]
pub(super) struct Watches {
    all: BTreeMap<u64, Watch>,
    numbers: HashMap<String, u64>,
    last: u64,
}

impl Watches {
    pub(super) fn add(&mut self, order: WatchOrder, most: usize) -> Result<&Watch, WatchRefused> {
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
        } = order;
        let watch = Watch {
            id,
            receiver: Arc::new(receiver),
            addresses,
            mailbox,
            ledger: Ledger::default(),
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

    pub(super) fn iter(&self) -> impl Iterator<Item = &Watch> {
        self.all.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.all.values_mut()
    }

    fn retain(&mut self, keep: impl Fn(&Watch) -> bool) {
        self.all.retain(|_, watch| keep(watch));
        self.numbers.retain(|_, number| self.all.contains_key(number));
    }
}

impl Watch {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Tells the owner of payments that a row holds for it. Gives how many were news.
    pub(super) fn found(&mut self, row: &Row, matches: &[Match], place: Place) -> usize {
        let mut news = 0;
        for found in matches {
            // Change is a payment to the plain address as far as anybody else may know.
            let label = found.label.filter(|m| *m != 0);
            let address = self.addresses.get(&label).cloned().unwrap_or_default();
            let (outpoint, payment) = row.payment(found, place, address, Some(&self.id));
            if let Some(change) = self.ledger.seen(outpoint, payment) {
                self.tell(change);
                news += 1;
            }
        }
        news
    }

    pub(super) fn left(&mut self, txid: Txid, replaced_by: Option<Txid>) {
        let changes = self.ledger.left(txid, replaced_by);
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn disconnected(&mut self, block_hash: &str) {
        let changes = self.ledger.disconnected(block_hash);
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn mempool_is(&mut self, contains: impl Fn(&Txid) -> bool) {
        let changes = self.ledger.mempool_is(contains);
        changes.into_iter().for_each(|c| self.tell(c));
    }

    pub(super) fn bury(&mut self, height: u32) {
        self.ledger.bury(height);
    }

    /// A watch's events are in no log and have no number.
    fn tell(&self, change: Change) {
        let notification = Notification {
            event: change.event,
            timestamp: unix_now(),
            event_id: None,
        };
        self.mailbox
            .post(Frame::encode(&ServerMessage::Notification(notification)));
    }
}
