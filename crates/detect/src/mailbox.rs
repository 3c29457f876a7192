//! The queue from detection to a connection, for the messages about its watches. Bounded in bytes, for each connection
//! and for all together.
//!
//! A detached watch has a mailbox of its own, whose messages are numbered and kept ([`keeping`]). A connection that is
//! attached to it reads them there, after those in its own queue.

mod keeping;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prometheus_client::metrics::counter::Counter;
use sdk_relay_scheduler::Owner;
use tokio::sync::{Notify, watch};

use super::budget::{Budget, Share};
use super::detached::DetachedLimits;
use super::kept::Kept;
use super::queued::QueuedMessage;
use super::wake::Wake;
use super::watch_message::{PAYMENT_BYTES, WatchMessage};

/// Largest number of queued bytes of one connection: about 3,000 payments. A block can contain many for a busy wallet;
/// a client that has not read this much is too slow.
const MAILBOX_BYTES: usize = 4 << 20;
/// Largest number of queued bytes of histories: a scan can wait, so a client that does not read costs half a megabyte
/// instead of four. Live notifications cannot wait.
const HISTORY_BYTES: usize = 512 << 10;
/// Largest number of queued bytes of all connections. Above it, the address with the most bytes loses its largest
/// mailbox.
const ALL_MAILBOXES: usize = 64 << 20;
/// Memory of a message in addition to its contents: its queue entry, and allocator overhead.
const OVERHEAD: usize = size_of::<QueuedMessage>() + 16;
/// Bytes of a queued payment.
const QUEUED_PAYMENT: usize = PAYMENT_BYTES + OVERHEAD;
/// Bytes of the ledgers of one connection's watches, and of what its edge keeps: about 20,000 payments that can still
/// be reverted, or 55,000 unspent outputs of older ones. Creating thousands costs a few dollars in fees.
const CONNECTION_LEDGERS: usize = 8 << 20;
/// Largest number of bytes of all ledgers. Above it, the address with the most bytes loses its largest connection.
const ALL_LEDGERS: usize = 64 << 20;

/// Next mailbox number, unique within the process.
static MAILBOXES: AtomicU64 = AtomicU64::new(1);

const NOT_GIVEN_UP: u8 = 0;
const TOO_FULL: u8 = 1;
const TOO_FAR_BEHIND: u8 = 2;
const FAILED: u8 = 3;
const TOO_MANY_PAYMENTS: u8 = 4;

/// All mailboxes, and the budgets of their connections.
#[derive(Debug)]
pub(super) struct Mailboxes {
    /// Mailboxes that are read and not dropped.
    open: Mutex<HashMap<Owner, Weak<Shared>>>,
    waiting: Arc<Budget>,
    ledgers: Arc<Budget>,
    /// Messages of detached watches. Its bounds are not those of a [`Budget`]: nothing is given up.
    kept: Arc<Budget>,
    limits: DetachedLimits,
    /// Counts the matches that detached watches have lost.
    lost: Counter,
}

/// Memory for what the watches of a connection have found: of their ledgers, and of an edge that keeps the outputs.
#[derive(Debug)]
pub struct LedgerShare {
    mailbox: Mailbox,
    share: Share,
}

/// The sending end, for detection.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Shared>);

/// The receiving end, for the connection.
#[derive(Debug)]
pub struct MailboxReceiver {
    shared: Arc<Shared>,
    barrier: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Shared {
    number: Owner,
    address: IpAddr,
    all: Arc<Mailboxes>,
    queue: Mutex<VecDeque<QueuedMessage>>,
    arrived: Notify,
    /// One of [`NOT_GIVEN_UP`], [`TOO_FULL`], [`TOO_FAR_BEHIND`], [`FAILED`], [`TOO_MANY_PAYMENTS`].
    given_up: AtomicU8,
    /// The connection has ended.
    closed: AtomicBool,
    /// Whose messages it has.
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Of a connection.
    Connection {
        /// The last event that may be sent to the connection.
        barrier: watch::Sender<u64>,
        /// The last events that may be sent before the scans for each owner have ended; those without a bound are
        /// absent.
        holds: Mutex<HashMap<Owner, u64>>,
        /// Mailboxes of the detached watches to which the connection is attached.
        sources: Mutex<Vec<Mailbox>>,
        /// Whether the ends of scans are posted to it.
        has_scan_ends: bool,
    },
    /// Of a detached watch.
    Detached(Box<Mutex<Detached>>),
}

/// The buffer of a detached watch, and who reads it.
#[derive(Debug)]
struct Detached {
    watch_id: Box<str>,
    kept: Kept,
    attached: Option<Mailbox>,
    barrier: u64,
    wakers: Vec<Arc<dyn Wake>>,
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self::new(DetachedLimits::default(), Counter::default())
    }
}

impl Mailboxes {
    pub(super) fn new(limits: DetachedLimits, lost: Counter) -> Self {
        Self {
            open: Mutex::default(),
            waiting: Budget::new(MAILBOX_BYTES, ALL_MAILBOXES),
            ledgers: Budget::new(CONNECTION_LEDGERS, ALL_LEDGERS),
            kept: Budget::new(usize::MAX, usize::MAX),
            limits,
            lost,
        }
    }

    /// Bytes of the matches of detached watches.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// A mailbox for a client from this address.
    pub(super) fn mailbox(self: &Arc<Self>, address: IpAddr) -> (Mailbox, MailboxReceiver) {
        self.new_mailbox(address, false)
    }

    /// The same, to which the ends of scans are posted.
    pub(super) fn mailbox_with_scan_ends(self: &Arc<Self>, address: IpAddr) -> (Mailbox, MailboxReceiver) {
        self.new_mailbox(address, true)
    }

    fn new_mailbox(self: &Arc<Self>, address: IpAddr, has_scan_ends: bool) -> (Mailbox, MailboxReceiver) {
        let (barrier, seen) = watch::channel(u64::MAX);
        let mailbox = self.open_mailbox(
            address,
            Kind::Connection {
                barrier,
                holds: Mutex::default(),
                sources: Mutex::default(),
                has_scan_ends,
            },
        );
        self.waiting.enter(mailbox.0.number, address);
        let receiver = MailboxReceiver {
            shared: Arc::clone(&mailbox.0),
            barrier: seen,
        };
        (mailbox, receiver)
    }

    fn open_mailbox(self: &Arc<Self>, address: IpAddr, kind: Kind) -> Mailbox {
        let shared = Arc::new(Shared {
            number: MAILBOXES.fetch_add(1, Ordering::Relaxed),
            address,
            all: Arc::clone(self),
            queue: Mutex::default(),
            arrived: Notify::new(),
            given_up: AtomicU8::new(NOT_GIVEN_UP),
            closed: AtomicBool::new(false),
            kind,
        });
        self.ledgers.enter(shared.number, address);
        self.open().insert(shared.number, Arc::downgrade(&shared));
        Mailbox(shared)
    }

    /// Drops the mailboxes of these connections.
    fn give_up(&self, owners: Vec<Owner>, reason: u8) {
        for owner in owners {
            let shared = self.open().get(&owner).and_then(Weak::upgrade);
            if let Some(shared) = shared {
                shared.give_up(reason);
            }
        }
    }

    fn remove(&self, owner: Owner) {
        self.waiting.leave(owner);
        self.ledgers.leave(owner);
        self.kept.leave(owner);
        self.open().remove(&owner);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Owner, Weak<Shared>>> {
        lock(&self.open)
    }
}

impl LedgerShare {
    /// Sets the number of bytes. A connection over its bound is dropped: its mailbox says why.
    pub fn resize(&mut self, bytes: usize) {
        let given_up = self.share.resize(bytes);
        self.mailbox.0.all.give_up(given_up, TOO_MANY_PAYMENTS);
    }
}

impl Shared {
    fn give_up(&self, reason: u8) {
        self.all.remove(self.number);
        self.given_up.store(reason, Ordering::Release);
        self.clear();
        // Notifies the connection, which may wait for a message, or for an event.
        self.arrived.notify_one();
        if let Kind::Connection { barrier, .. } = &self.kind {
            barrier.send_modify(|_| {});
        }
    }

    fn close(&self) {
        self.all.remove(self.number);
        self.closed.store(true, Ordering::Release);
        self.clear();
    }

    /// Frees the queue. A dropped mailbox accepts no messages.
    fn clear(&self) {
        // Freed outside the lock.
        let queue = std::mem::take(&mut *self.queue());
        drop(queue);
        match &self.kind {
            Kind::Connection { sources, .. } => drop(std::mem::take(&mut *lock(sources))),
            Kind::Detached(detached) => lock(detached).clear(),
        }
    }

    fn is_dead(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.given_up.load(Ordering::Acquire) != NOT_GIVEN_UP
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<QueuedMessage>> {
        lock(&self.queue)
    }
}

impl Mailbox {
    pub(super) fn post(&self, message: WatchMessage) {
        if let Some(queued) = self.queued(message) {
            self.put(queued);
        }
    }

    /// A message for this mailbox, which counts from now on; `None` if the mailbox is given up, which this message may
    /// cause.
    pub(super) fn queued(&self, message: WatchMessage) -> Option<QueuedMessage> {
        self.queued_from(message, 0)
    }

    /// The same for a message about a payment that a watch with this `from_height` finds again.
    pub(super) fn queued_from(&self, message: WatchMessage, from_height: u32) -> Option<QueuedMessage> {
        if self.is_dead() {
            return None;
        }
        let budget = match self.0.kind {
            Kind::Connection { .. } => &self.0.all.waiting,
            Kind::Detached(_) => &self.0.all.kept,
        };
        let mut share = Share::new(budget, self.0.number);
        let given_up = share.resize(message.bytes() + OVERHEAD);
        self.0.all.give_up(given_up, TOO_FULL);
        (!self.is_dead()).then_some(QueuedMessage::new(message, from_height, share))
    }

    pub(super) fn put(&self, queued: QueuedMessage) {
        self.put_all([queued]);
    }

    /// Enqueues all messages atomically.
    pub(super) fn put_all(&self, queued: impl IntoIterator<Item = QueuedMessage>) {
        if let Kind::Detached(detached) = &self.0.kind {
            return self.keep_all(detached, queued);
        }
        let mut queue = self.0.queue();
        // Checked within the lock: dropping a mailbox sets the state first, and then takes the lock to free the queue.
        if !self.is_dead() {
            let before = queue.len();
            queue.extend(queued);
            let is_new = queue.len() > before;
            drop(queue);
            if is_new {
                self.0.arrived.notify_one();
            }
        }
    }

    /// Whether live notifications may be held back for a history: half of the capacity is reserved for messages that
    /// can be sent now.
    pub(super) fn may_hold(&self) -> bool {
        match &self.0.kind {
            Kind::Connection { .. } => self.0.all.waiting.bytes_of(self.0.number) <= MAILBOX_BYTES / 2,
            Kind::Detached(_) => {
                let half = self.0.all.limits.matches.saturating_mul(QUEUED_PAYMENT) / 2;
                self.0.all.kept.bytes_of(self.0.number) <= half.min(MAILBOX_BYTES / 2)
            }
        }
    }

    /// For the ledger of one of its watches, or for what the edge keeps of the payments.
    pub fn ledger_share(&self) -> LedgerShare {
        LedgerShare {
            mailbox: self.clone(),
            share: Share::new(&self.0.all.ledgers, self.0.number),
        }
    }

    /// Its owner.
    pub(super) fn owner(&self) -> Owner {
        self.0.number
    }

    /// Address of the client.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Whether the ends of scans are posted to it.
    pub(super) fn has_scan_ends(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Connection {
                has_scan_ends: true,
                ..
            }
        )
    }

    /// Allows the connection to send events up to this one; of a detached watch, the connection that is attached.
    pub(super) fn set_barrier(&self, last: u64) {
        match &self.0.kind {
            Kind::Connection { .. } => self.hold(self.0.number, last),
            Kind::Detached(detached) => {
                let attached = lock(detached).set_barrier(last);
                if let Some(connection) = attached {
                    connection.hold(self.0.number, last);
                }
            }
        }
    }

    /// Allows the connection to send events up to this one, as far as the scans for this owner are concerned.
    fn hold(&self, owner: Owner, last: u64) {
        let Kind::Connection { barrier, holds, .. } = &self.0.kind else {
            return;
        };
        let mut holds = lock(holds);
        if last == u64::MAX {
            holds.remove(&owner);
        } else {
            holds.insert(owner, last);
        }
        let last = holds.values().copied().min().unwrap_or(u64::MAX);
        // Within the lock, so that the barrier is that of the newest change.
        barrier.send_if_modified(|barrier| std::mem::replace(barrier, last) != last);
    }

    /// Drops the mailbox: its watches have more keys than can be scanned in time.
    pub(super) fn give_up_behind(&self) {
        self.0.give_up(TOO_FAR_BEHIND);
    }

    /// Drops the mailbox: a scan for it failed.
    pub(super) fn give_up_failed(&self) {
        self.0.give_up(FAILED);
    }

    /// The connection has ended.
    pub(super) fn close(&self) {
        self.0.close();
    }

    /// Whether a scan may add payments: at most half of the capacity for histories is used.
    pub(super) fn has_capacity(&self) -> bool {
        self.capacity() >= (self.history_capacity() / 2).max(1)
    }

    /// How many payments a scan may add. A scan waits for a client that does not read, so that it does not use memory;
    /// that of a detached watch waits for the client to release matches, so that it loses none.
    pub(super) fn capacity(&self) -> usize {
        match &self.0.kind {
            Kind::Connection { .. } => {
                HISTORY_BYTES.saturating_sub(self.0.all.waiting.bytes_of(self.0.number)) / QUEUED_PAYMENT
            }
            Kind::Detached(detached) => self.kept_capacity(detached),
        }
    }

    /// How many payments a scan may add to an empty mailbox.
    fn history_capacity(&self) -> usize {
        match &self.0.kind {
            Kind::Connection { .. } => HISTORY_BYTES / QUEUED_PAYMENT,
            Kind::Detached(_) => (HISTORY_BYTES / QUEUED_PAYMENT).min(self.0.all.limits.matches / 2),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.is_dead()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl MailboxReceiver {
    /// The next message. `None` if the mailbox was dropped: the client must reconnect.
    pub async fn next(&mut self) -> Option<WatchMessage> {
        loop {
            if self.why_given_up().is_some() {
                return None;
            }
            if let Some(message) = self.try_next() {
                return Some(message);
            }
            self.shared.arrived.notified().await;
        }
    }

    /// The next message, if one is queued.
    pub fn try_next(&mut self) -> Option<WatchMessage> {
        let queued = self.shared.queue().pop_front();
        queued.map(|queued| queued.message).or_else(|| self.next_kept())
    }

    /// The next message of a detached watch to which the connection is attached.
    fn next_kept(&self) -> Option<WatchMessage> {
        let Kind::Connection { sources, .. } = &self.shared.kind else {
            return None;
        };
        let sources = lock(sources);
        sources.iter().find_map(|source| source.next_for(self.shared.number))
    }

    /// The last event that may be sent while scans for the watches of the connection are in progress.
    pub fn barrier(&self) -> watch::Receiver<u64> {
        self.barrier.clone()
    }

    /// Why the connection is closed, for the client.
    pub fn why_given_up(&self) -> Option<&'static str> {
        match self.shared.given_up.load(Ordering::Acquire) {
            NOT_GIVEN_UP => None,
            TOO_FULL => Some("this client reads too slowly: connect again and resume"),
            TOO_FAR_BEHIND => {
                Some("the scans of your watches are too far behind: connect again with fewer watches or labels")
            }
            TOO_MANY_PAYMENTS => Some(
                "your watches have too many payments in the mempool and the newest 2,016 blocks, or too many unspent outputs, or (over Electrum) subscriptions with too many labels: spread them over more connections, or try again later",
            ),
            _ => Some("a scan for your watches failed: connect again, watch again, and resume"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for MailboxReceiver {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[cfg(test)]
pub(super) mod tests;
