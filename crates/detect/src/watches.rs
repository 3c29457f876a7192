//! The watches of all connections.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use bitcoin::secp256k1::rand::RngCore;
use sdk_relay_bip352::Prepared;
use sdk_relay_platform::{clock, random};
use sdk_relay_protocol::EndReason;
use sdk_relay_scheduler::{Client, Entry, Owner};

use super::commands::{WatchOrder, WatchRefused};
use super::detached::{Detach, TokenHash};
use super::detachments::Detachments;
use super::ledger::Ledger;
use super::look_up::Unchecked;
use super::mailbox::Mailbox;
use super::unnamed::{NameBudget, Unnamed};
use super::watch::Watch;
use super::watch_history::WatchHistory;

mod detached;
#[cfg(test)]
mod tests;

/// All watches, in the order of their registration.
#[derive(Default)]
pub(super) struct Watches {
    /// Boxed: a node of the map has room for eleven, and half of them are empty.
    all: BTreeMap<u64, Box<Watch>>,
    numbers: HashMap<String, u64>,
    last: u64,
    /// The connections that have watches.
    owners: BTreeMap<Owner, Connection>,
    /// Connections without watches, whose scans must be dropped.
    gone: Vec<Owner>,
    /// Watches with equal keys share them, by [`sdk_relay_bip352::Receiver::fingerprint`].
    keys: HashMap<[u8; 32], Weak<Prepared>>,
    /// The detached ones among them.
    detached: Detachments,
    names: NameBudget,
}

/// A connection that has watches.
struct Connection {
    mailbox: Mailbox,
    watches: BTreeSet<u64>,
    client: Client,
    /// First events of the scans in progress for it, with their number: it may receive events below the first.
    held: BTreeMap<u64, usize>,
    /// Its watches are to be told when no scan is in progress.
    is_settling: bool,
}

impl Watches {
    pub(super) fn add(
        &mut self,
        order: WatchOrder,
        history: Option<WatchHistory>,
        most: usize,
    ) -> Result<&mut Watch, WatchRefused> {
        self.insert(order, history, most, None)
    }

    /// Adds a watch; a detached one with its token.
    fn insert(
        &mut self,
        order: WatchOrder,
        history: Option<WatchHistory>,
        most: usize,
        detach: Option<(Detach, TokenHash)>,
    ) -> Result<&mut Watch, WatchRefused> {
        self.forget_dead();
        if order.mailbox.is_dead() {
            // Its connection has ended while the command was queued.
            return Err(WatchRefused::Ending);
        }
        if self.all.len() >= most {
            return Err(WatchRefused::Full);
        }
        self.last += 1;
        let number = self.last;
        // Not the number: it would reveal how many watches others have registered.
        let id = format!("watch-{:016x}", random::rng().next_u64());
        self.numbers.insert(id.clone(), number);
        let WatchOrder {
            receiver,
            addresses,
            mailbox,
            history: _,
            confirm_at,
        } = order;
        let (mailbox, detached) = match detach {
            Some((detach, token)) => {
                let (mailbox, detachment) = self.detached.add(number, &id, &mailbox, detach, token);
                (mailbox, Some(detachment))
            }
            None => (mailbox, None),
        };
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
            is_settling: false,
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
            confirm_at: confirm_at.into(),
            history,
            unchecked: Unchecked::default(),
            unnamed: Unnamed::new(self.names.clone()),
            tip: 0,
            detached,
        };
        self.all.insert(number, Box::new(watch));
        self.list_keys(owner);
        self.all.get_mut(&number).map(Box::as_mut).ok_or(WatchRefused::Ending)
    }

    /// The keys of another watch if they are equal, so that they are scanned once.
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

    /// Ends a watch, as its client has asked.
    pub(super) fn remove(&mut self, id: &str) {
        if let Some(number) = self.numbers.get(id).copied() {
            self.end(number, EndReason::Unwatched, true);
        }
    }

    /// Ends a watch. `is_answered`: its client is told otherwise.
    fn end(&mut self, number: u64, reason: EndReason, is_answered: bool) {
        let Some(watch) = self.all.remove(&number) else {
            return;
        };
        let owner = watch.mailbox.owner();
        self.forget(&watch, reason, is_answered);
        if let Some(connection) = self.owners.get_mut(&owner) {
            connection.watches.remove(&watch.number);
            if connection.watches.is_empty() {
                self.remove_owner(owner);
            } else {
                self.list_keys(owner);
            }
        }
    }

    /// Ends the watches of one connection, and detaches it from others.
    pub(super) fn remove_of(&mut self, mailbox: &Mailbox) {
        self.remove_owner(mailbox.owner());
        self.detach_from(mailbox);
    }

    /// Ends the watches whose connections have ended or were dropped.
    pub(super) fn forget_dead(&mut self) {
        let dead = self
            .owners
            .iter()
            .filter(|(_, connection)| connection.mailbox.is_dead());
        for owner in dead.map(|(owner, _)| *owner).collect::<Vec<_>>() {
            self.remove_owner(owner);
        }
        for mailbox in self.detached.dead() {
            self.detach_from(&mailbox);
        }
    }

    /// Connections that have lost their last watch since the last call.
    pub(super) fn gone(&mut self) -> Vec<Owner> {
        std::mem::take(&mut self.gone)
    }

    /// Sends the live notifications that wait for histories without progress.
    pub(super) fn release_stalled(&mut self) {
        let now = clock::monotonic();
        for watch in self.all.values_mut() {
            if let Some(history) = &mut watch.history {
                let waiting = history.release_stalled(now);
                watch.mailbox.put_all(waiting);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Watch> {
        self.all.get_mut(self.numbers.get(id)?).map(Box::as_mut)
    }

    pub(super) fn by_number(&mut self, number: u64) -> Option<&mut Watch> {
        self.all.get_mut(&number).map(Box::as_mut)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.all.values_mut().map(Box::as_mut)
    }

    /// The clients for whom new rows are scanned.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.owners.values().map(|connection| &connection.client)
    }

    /// Delays the events from this one for every connection with watches, until the corresponding scans have ended.
    pub(super) fn hold(&mut self, event: u64) {
        for connection in self.owners.values_mut() {
            *connection.held.entry(event).or_default() += 1;
            connection.set_barrier();
        }
    }

    /// Ends the delay of events for this connection after a scan.
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
        self.report_settled(owner);
    }

    /// The chain and the mempool are known as a whole: tells those that want to know, each after the scans that are in
    /// progress for it.
    pub(super) fn settle(&mut self) {
        let connections = self.owners.iter_mut();
        let settling = connections.filter(|(_, connection)| connection.mailbox.has_scan_ends());
        let owners: Vec<Owner> = settling
            .map(|(owner, connection)| {
                connection.is_settling = true;
                *owner
            })
            .collect();
        owners.into_iter().for_each(|owner| self.report_settled(owner));
    }

    /// The chain changes again: those that were to be told wait for the next [`Self::settle`].
    pub(super) fn unsettle(&mut self) {
        let connections = self.owners.values_mut();
        connections.for_each(|connection| connection.is_settling = false);
    }

    fn report_settled(&mut self, owner: Owner) {
        let connection = self.owners.get_mut(&owner);
        let Some(connection) = connection.filter(|connection| connection.is_settling && connection.held.is_empty())
        else {
            return;
        };
        connection.is_settling = false;
        for number in &connection.watches {
            if let Some(watch) = self.all.get_mut(number) {
                watch.settled();
            }
        }
    }

    /// Closes a connection whose scans are too far behind, or have failed; the client has to reconnect.
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
                // A detached watch has an owner of its own, which leaves only if it was given up.
                self.forget(&watch, EndReason::ScanFailed, false);
            }
        }
        if self.all.is_empty() {
            self.keys.clear();
        }
        connection.mailbox.set_barrier(u64::MAX);
        self.gone.push(owner);
    }

    /// Forgets the id of a watch that is removed, and ends its buffer if it is a detached one.
    fn forget(&mut self, watch: &Watch, reason: EndReason, is_answered: bool) {
        self.numbers.remove(&watch.id);
        self.detached.remove(watch, reason, is_answered);
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
