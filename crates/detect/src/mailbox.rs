//! Where detection leaves what it has for a connection's watches. Bounded in bytes, for each connection and for all together.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sdk_relay_events::Frame;
use tokio::sync::{Notify, watch};

use super::scheduler::Owner;

/// Bytes that wait for one connection: some 4,000 payments. A block can hold many for a busy wallet; a client that has not read this much is too slow.
const MAILBOX_BYTES: usize = 4 << 20;
/// Bytes of histories among them: a scan can wait, so that a client that does not read costs half a megabyte and not four. Live news cannot.
const HISTORY_BYTES: usize = 512 << 10;
/// What one payment takes at most, [`OVERHEAD`] included: its longest texts are an address (119 characters) and four hashes.
const PAYMENT_BYTES: usize = 1 << 10;
/// Bytes that wait for all connections. Beyond them the address for which most waits loses its largest mailbox.
const ALL_BYTES: usize = 64 << 20;
/// What a message takes beside its text: its place in the queue, and the allocator's part.
const OVERHEAD: usize = size_of::<Letter>() + 16;

/// Numbers mailboxes for as long as the process runs.
static MAILBOXES: AtomicU64 = AtomicU64::new(1);

const NOT_GIVEN_UP: u8 = 0;
const TOO_FULL: u8 = 1;
const TOO_FAR_BEHIND: u8 = 2;
const FAILED: u8 = 3;

/// Counts what waits in all mailboxes.
#[derive(Debug, Default)]
pub(super) struct MailBudget(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// Mailboxes that are read and not given up.
    boxes: HashMap<Owner, Counted>,
}

#[derive(Debug)]
struct Counted {
    address: IpAddr,
    bytes: usize,
    shared: Weak<Shared>,
}

/// A message that waits. It counts in its connection's mailbox from the moment it is made, wherever it lies.
#[derive(Debug)]
pub(super) struct Letter {
    frame: Frame,
    _share: Share,
}

/// Bytes of a mailbox; dropping it gives them back.
#[derive(Debug)]
struct Share {
    budget: Arc<MailBudget>,
    owner: Owner,
    bytes: usize,
}

/// Where detection leaves a connection's payments.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Shared>);

/// The connection's end of its mailbox.
#[derive(Debug)]
pub struct MailboxReceiver {
    shared: Arc<Shared>,
    barrier: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Shared {
    number: Owner,
    address: IpAddr,
    budget: Arc<MailBudget>,
    letters: Mutex<VecDeque<Letter>>,
    arrived: Notify,
    /// One of [`NOT_GIVEN_UP`], [`TOO_FULL`], [`TOO_FAR_BEHIND`], [`FAILED`].
    given_up: AtomicU8,
    /// The connection has ended.
    closed: AtomicBool,
    /// The last event that the connection may see.
    barrier: watch::Sender<u64>,
}

impl MailBudget {
    /// A mailbox for a client from this address.
    pub(super) fn mailbox(self: &Arc<Self>, address: IpAddr) -> (Mailbox, MailboxReceiver) {
        let (barrier, seen) = watch::channel(u64::MAX);
        let shared = Arc::new(Shared {
            number: MAILBOXES.fetch_add(1, Ordering::Relaxed),
            address,
            budget: Arc::clone(self),
            letters: Mutex::default(),
            arrived: Notify::new(),
            given_up: AtomicU8::new(NOT_GIVEN_UP),
            closed: AtomicBool::new(false),
            barrier,
        });
        let counted = Counted {
            address,
            bytes: 0,
            shared: Arc::downgrade(&shared),
        };
        self.lock().boxes.insert(shared.number, counted);
        let receiver = MailboxReceiver {
            shared: Arc::clone(&shared),
            barrier: seen,
        };
        (Mailbox(shared), receiver)
    }

    /// Bytes that wait for a connection; none where its mailbox is gone.
    fn bytes_of(&self, owner: Owner) -> usize {
        self.lock().boxes.get(&owner).map_or(0, |counted| counted.bytes)
    }

    /// Counts bytes. Gives the mailboxes that have to be given up for it, which are not counted any more.
    fn add(&self, owner: Owner, bytes: usize) -> Vec<Arc<Shared>> {
        let mut waiting = self.lock();
        let Some(counted) = waiting.boxes.get_mut(&owner) else {
            return Vec::new();
        };
        counted.bytes += bytes;
        let is_full = counted.bytes > MAILBOX_BYTES;
        waiting.bytes += bytes;
        let mut given_up = Vec::new();
        if is_full {
            given_up.extend(waiting.remove(owner));
        }
        while waiting.bytes > ALL_BYTES
            && let Some(largest) = waiting.largest()
        {
            given_up.extend(waiting.remove(largest));
        }
        given_up
    }

    fn give_back(&self, owner: Owner, bytes: usize) {
        let mut waiting = self.lock();
        if let Some(counted) = waiting.boxes.get_mut(&owner) {
            counted.bytes -= bytes;
            waiting.bytes -= bytes;
        }
    }

    fn remove(&self, owner: Owner) {
        // Dropped outside the lock, which its letters need.
        let gone = self.lock().remove(owner);
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Of the address for which most waits.
    fn largest(&self) -> Option<Owner> {
        let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
        for counted in self.boxes.values() {
            *by_address.entry(counted.address).or_default() += counted.bytes;
        }
        let (address, _) = by_address.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        let of_address = self.boxes.iter().filter(|(_, counted)| counted.address == address);
        of_address
            .max_by_key(|(_, counted)| counted.bytes)
            .map(|(owner, _)| *owner)
    }

    fn remove(&mut self, owner: Owner) -> Option<Arc<Shared>> {
        let counted = self.boxes.remove(&owner)?;
        self.bytes -= counted.bytes;
        counted.shared.upgrade()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.owner, self.bytes);
    }
}

impl Shared {
    fn give_up(&self, reason: u8) {
        self.budget.remove(self.number);
        self.given_up.store(reason, Ordering::Release);
        self.clear();
        // Wakes the connection, which may wait for a frame, or for an event that it may see.
        self.arrived.notify_one();
        self.barrier.send_modify(|_| {});
    }

    fn close(&self) {
        self.budget.remove(self.number);
        self.closed.store(true, Ordering::Release);
        self.clear();
    }

    /// Frees what waits. Nothing is put in any more, since the mailbox is dead.
    fn clear(&self) {
        // Freed outside the lock.
        let letters = std::mem::take(&mut *self.letters());
        drop(letters);
    }

    fn is_dead(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.given_up.load(Ordering::Acquire) != NOT_GIVEN_UP
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    pub(super) fn post(&self, frame: Frame) {
        if let Some(letter) = self.letter(frame) {
            self.put(letter);
        }
    }

    /// A message for this mailbox, which counts from now on; `None` where the mailbox is given up, as it may be for want of capacity.
    pub(super) fn letter(&self, frame: Frame) -> Option<Letter> {
        if self.is_dead() {
            return None;
        }
        let share = Share {
            budget: Arc::clone(&self.0.budget),
            owner: self.0.number,
            bytes: frame.len() + OVERHEAD,
        };
        for shared in self.0.budget.add(share.owner, share.bytes) {
            shared.give_up(TOO_FULL);
        }
        (!self.is_dead()).then_some(Letter { frame, _share: share })
    }

    pub(super) fn put(&self, letter: Letter) {
        let mut letters = self.0.letters();
        // Looked at within the lock: whoever gives it up frees what lies in it afterwards.
        if !self.is_dead() {
            letters.push_back(letter);
            drop(letters);
            self.0.arrived.notify_one();
        }
    }

    /// Whether news may be held back for a history: half of what may wait is for what the client can have now.
    pub(super) fn may_hold(&self) -> bool {
        self.0.budget.bytes_of(self.0.number) <= MAILBOX_BYTES / 2
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        self.0.number
    }

    /// Where the client comes from.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Lets the connection see events up to this one.
    pub(super) fn set_barrier(&self, last: u64) {
        self.0
            .barrier
            .send_if_modified(|barrier| std::mem::replace(barrier, last) != last);
    }

    /// Its watches have more keys than can be scanned in time.
    pub(super) fn give_up_behind(&self) {
        self.0.give_up(TOO_FAR_BEHIND);
    }

    /// A scan for it failed.
    pub(super) fn give_up_failed(&self) {
        self.0.give_up(FAILED);
    }

    /// The connection has ended.
    pub(super) fn close(&self) {
        self.0.close();
    }

    /// Whether a scan may leave payments here: half of what it may leave at most waits still.
    pub(super) fn has_room(&self) -> bool {
        self.room() >= HISTORY_BYTES / PAYMENT_BYTES / 2
    }

    /// How many payments a scan may leave: a scan waits for a client that does not read, in place of the relay's memory.
    pub(super) fn room(&self) -> usize {
        HISTORY_BYTES.saturating_sub(self.0.budget.bytes_of(self.0.number)) / PAYMENT_BYTES
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.is_dead()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl MailboxReceiver {
    /// The next payment. `None` when the mailbox was given up: the client must start anew.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.why_given_up().is_some() {
                return None;
            }
            if let Some(frame) = self.try_next() {
                return Some(frame);
            }
            self.shared.arrived.notified().await;
        }
    }

    /// Another one, if it is there already.
    pub fn try_next(&mut self) -> Option<Frame> {
        let letter = self.shared.letters().pop_front();
        letter.map(|letter| letter.frame)
    }

    /// The last event that the connection may see while scans for its watches are underway.
    pub fn barrier(&self) -> watch::Receiver<u64> {
        self.barrier.clone()
    }

    /// Why the connection is to be closed, for the client.
    pub fn why_given_up(&self) -> Option<&'static str> {
        match self.shared.given_up.load(Ordering::Acquire) {
            NOT_GIVEN_UP => None,
            TOO_FULL => Some("this client reads too slowly: connect again and resume"),
            TOO_FAR_BEHIND => {
                Some("the scans of your watches are too far behind: connect again with fewer watches or labels")
            }
            _ => Some("a scan for your watches failed: connect again, watch again, and resume"),
        }
    }
}

impl Drop for MailboxReceiver {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[cfg(test)]
mod tests;
