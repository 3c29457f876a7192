//! Queue of the look-ups of spends: those of payments that a scan has found, and those of outputs that detection has
//! reported before.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_scheduler::Owner;
use tokio::sync::Notify;

use super::history_scan::{Scan, ScannedRange};
use super::look_up::{LookUp, Of};
use super::mailbox::Mailbox;
use super::spend_job::{Job, Key, POLL_INTERVAL};
use super::unnamed::NameLookUp;

/// Jobs with payments that a scan has found, of one address. A connection has at most one: its scans wait for it.
const FOUND_PER_ADDRESS: usize = 4;
/// The same, of all addresses, beyond which an address has only one. The scans of one more turn may add theirs.
const FOUND: usize = 64;

/// Poll interval where all jobs wait for the node to recover.
const POLL_LATER: Duration = Duration::from_secs(1);

/// Bounded: a connection has one job with found payments, of a bounded number or of one block, and a watch two others.
#[derive(Default)]
pub(super) struct SpendQueue {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Key, Job>,
    /// The connections whose found payments are being looked up, or wait for it.
    found: HashMap<Owner, IpAddr>,
}

/// Which connections have found payments in the queue.
pub(super) struct Busy {
    owners: HashMap<Owner, IpAddr>,
    addresses: HashMap<IpAddr, usize>,
}

impl Busy {
    /// Whether scans of this connection may find payments now. The jobs of others, however many and slow, do not hold
    /// up an address that has none. All clients of a proxy, or of Tor, share a loopback address: only the number of all
    /// jobs limits them.
    pub(super) fn may_find(&self, mailbox: &Mailbox) -> bool {
        let address = mailbox.address();
        let of_address = self.addresses.get(&address).copied().unwrap_or_default();
        let may_have_more = of_address < FOUND_PER_ADDRESS || address.to_canonical().is_loopback();
        let has_room = may_have_more && self.owners.len() < FOUND;
        !self.owners.contains_key(&mailbox.owner()) && (of_address == 0 || has_room)
    }
}

impl SpendQueue {
    /// Adds payments that the scans of one connection have found.
    pub(super) fn add_found(&self, mailbox: &Mailbox, found: Vec<(Scan, ScannedRange)>) {
        let (owner, address) = (mailbox.owner(), mailbox.address());
        let mut state = self.lock();
        state.found.insert(owner, address);
        state
            .waiting
            .insert(Key::Found(owner), Job::of_found(owner, address, found));
        drop(state);
        self.added.notify_one();
    }

    /// Adds a look-up; replaces one of the same watch that waits.
    pub(super) fn add(&self, look_up: LookUp) {
        let key = Key::Reported(look_up.of.clone());
        self.lock().waiting.insert(key, Job::of_reported(look_up));
        self.added.notify_one();
    }

    /// Adds a look-up of names.
    pub(super) fn add_names(&self, look_up: NameLookUp) {
        let key = Key::Named(look_up.watch_id.clone());
        self.lock().waiting.insert(key, Job::of_names(look_up));
        self.added.notify_one();
    }

    /// Removes the look-ups of a watch that has ended.
    pub(super) fn remove(&self, watch_id: &str) {
        let keys = [
            Key::Reported(Of::Watch(watch_id.to_owned())),
            Key::Named(watch_id.to_owned()),
        ];
        let mut state = self.lock();
        for key in keys {
            state.waiting.remove(&key);
        }
    }

    /// The connections with found payments.
    pub(super) fn busy(&self) -> Busy {
        let owners = self.lock().found.clone();
        let mut addresses: HashMap<IpAddr, usize> = HashMap::new();
        for address in owners.values() {
            *addresses.entry(*address).or_default() += 1;
        }
        Busy { owners, addresses }
    }

    /// Takes a job that can continue now, of the connection that `pick` selects from those that have one.
    pub(super) fn take(
        &self,
        is_ready: impl Fn(&Job) -> bool,
        pick: impl FnOnce(&mut dyn Iterator<Item = (Owner, IpAddr)>) -> Option<Owner>,
    ) -> Option<Job> {
        let mut state = self.lock();
        let State { waiting, found, .. } = &mut *state;
        waiting.retain(|_, job| {
            let is_dead = job.is_dead();
            if is_dead && let Key::Found(owner) = job.key() {
                found.remove(&owner);
            }
            !is_dead
        });
        let has_urgent = waiting.values().any(|job| !job.is_later() && is_ready(job));
        let ready = |job: &&Job| is_ready(job) && !(has_urgent && job.is_later());
        let owner = pick(&mut waiting.values().filter(ready).map(Job::client))?;
        let key = waiting
            .values()
            .filter(ready)
            .find(|job| job.client().0 == owner)?
            .key();
        waiting.remove(&key)
    }

    /// Returns a job that is not finished; dropped if there is a newer one.
    pub(super) fn put_back(&self, job: Job) {
        self.lock().waiting.entry(job.key()).or_insert(job);
    }

    /// A job has ended.
    pub(super) fn ended(&self, key: &Key) {
        if let Key::Found(owner) = key {
            self.lock().found.remove(owner);
        }
    }

    /// When to look for a job that can continue; `None` if none waits.
    pub(super) fn poll_interval(&self) -> Option<Duration> {
        let state = self.lock();
        let is_later = state.waiting.values().all(Job::is_later);
        let interval = if is_later { POLL_LATER } else { POLL_INTERVAL };
        (!state.waiting.is_empty()).then_some(interval)
    }

    /// Waits for a new job. Cancel-safe.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mailbox::Mailboxes;

    #[test]
    fn the_jobs_of_others_do_not_hold_up_an_address_that_has_none() {
        let (queue, all) = (SpendQueue::default(), Arc::<Mailboxes>::default());
        let client = |address: u8| all.mailbox([192, 0, 2, address].into());
        let mut kept = Vec::new();
        for address in 1..=16 {
            for _ in 0..FOUND_PER_ADDRESS {
                let (mailbox, receiver) = client(address);
                assert!(queue.busy().may_find(&mailbox));
                queue.add_found(&mailbox, Vec::new());
                assert!(!queue.busy().may_find(&mailbox), "one of a connection");
                kept.push(receiver);
            }
            assert!(!queue.busy().may_find(&client(address).0), "four of an address");
        }
        assert_eq!(kept.len(), FOUND);
        let (first, _first) = client(17);
        assert!(queue.busy().may_find(&first));
        queue.add_found(&first, Vec::new());
        assert!(!queue.busy().may_find(&client(17).0), "a second one waits");
        queue.ended(&Key::Found(first.owner()));
        assert!(queue.busy().may_find(&client(17).0));
    }

    #[test]
    fn the_clients_of_a_proxy_share_no_limit_of_an_address() {
        for loopback in ["127.0.0.1", "::1"] {
            let (queue, all) = (SpendQueue::default(), Arc::<Mailboxes>::default());
            let client = || all.mailbox(loopback.parse().expect("an address"));
            let mut kept = Vec::new();
            for _ in 0..FOUND {
                let (mailbox, receiver) = client();
                assert!(queue.busy().may_find(&mailbox), "{loopback}");
                queue.add_found(&mailbox, Vec::new());
                kept.push(receiver);
            }
            assert!(!queue.busy().may_find(&client().0), "{loopback}: too many in all");
            let (other, _other) = all.mailbox([192, 0, 2, 1].into());
            assert!(queue.busy().may_find(&other), "{loopback}: another address");
        }
    }
}
