//! Slots for HTTP connections. When all are taken, the connection that has been idle for longest is evicted for a new
//! one, so that connections that send nothing, or a byte now and then, cannot block others. A request counts once its
//! body is complete. One address cannot take all slots.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::client_network::network_of;

/// Value of `idle_since` while a request is in progress.
const BUSY: u64 = 0;
/// How long a connection keeps its slot without a request, from its first service. If a thousand connect at once, each
/// of them can send its request; new ones wait meanwhile.
const GRACE: Duration = Duration::from_millis(250);
/// Within this time, the task of an accepted connection starts to run.
const SOON: Duration = Duration::from_millis(1);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) all: usize,
    /// Connections of one address (IPv6: of one /64).
    pub(crate) per_address: usize,
    /// Connections of loopback addresses and trusted proxies together. They forward many clients, so the limit is far
    /// higher than that of another address; the rest is reserved for direct clients.
    pub(crate) proxies: usize,
}

/// A bounded number of slots.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    bounds: Bounds,
    free: Arc<Semaphore>,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By age: of two that have been idle equally long, the older one is evicted.
    taken: BTreeMap<u64, Arc<Connection>>,
    /// Connections by address, without evicted ones.
    by_address: HashMap<Address, usize>,
}

/// An address for the limits; `None` is this machine and the trusted proxies.
type Address = Option<IpAddr>;

/// State of the connection on a slot.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Address,
    /// Since when it has no request, in nanoseconds since the creation of [`ConnectionSlots`]; [`BUSY`] while it has
    /// one, and until its first service.
    idle_since: AtomicU64,
    /// It has a request, complete or not.
    has_request: AtomicBool,
    /// It has not had a request yet, which may be in transit, or received and not read.
    fresh: AtomicBool,
    cut: CancellationToken,
}

/// A slot; released on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<ConnectionSlots>,
    number: u64,
    connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

/// State of the request of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnderWay {
    Nothing,
    /// A request with an incomplete body.
    Arriving,
    /// A complete request.
    Answer,
}

impl Connection {
    pub(crate) fn under_way(&self) -> UnderWay {
        if !self.has_request.load(Ordering::Relaxed) {
            UnderWay::Nothing
        } else if self.idle_since.load(Ordering::Relaxed) == BUSY {
            UnderWay::Answer
        } else {
            UnderWay::Arriving
        }
    }
}

/// Whether an address may have one more connection.
enum Availability {
    Now,
    /// Check again after this time.
    Within(Duration),
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// The address has reached its limit, and each of its connections has a request or is too new to be evicted.
    Address,
    /// The slots are closed.
    Closed,
}

impl ConnectionSlots {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            free: Arc::new(Semaphore::new(bounds.all)),
            began: Instant::now(),
            state: Mutex::default(),
        })
    }

    /// Waits for a slot: for a moment, unless every connection has a request in progress. At the limit of an address,
    /// its longest idle connection is evicted; without an idle one, the new connection is refused. Connections of
    /// proxies have no grace period there, because each may be for another client; but a new connection waits for one
    /// that has not had a request yet. It is refused if all have a request in progress.
    pub(crate) async fn take(self: &Arc<Self>, from: IpAddr, is_trusted: bool) -> Result<Slot, NoSlot> {
        let speaks_for_many = is_trusted || from.to_canonical().is_loopback();
        let address = (!speaks_for_many).then(|| network_of(from));
        while let Availability::Within(moment) = self.make_available(address)? {
            sleep(moment).await;
        }
        let permit = loop {
            let free = Arc::clone(&self.free);
            if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                break permit;
            }
            let look_again = self.cut_longest_idle();
            if let Ok(permit) = timeout(look_again, free.acquire_owned()).await {
                break permit.map_err(|_| NoSlot::Closed)?;
            }
        };
        let connection = Arc::new(Connection {
            address,
            idle_since: AtomicU64::new(BUSY),
            has_request: AtomicBool::new(false),
            fresh: AtomicBool::new(true),
            cut: CancellationToken::new(),
        });
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.taken.insert(number, Arc::clone(&connection));
        *state.by_address.entry(address).or_default() += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            number,
            connection,
            _permit: permit,
        })
    }

    /// Brings an address below its limit.
    fn make_available(&self, address: Address) -> Result<Availability, NoSlot> {
        let (most, grace) = match address {
            Some(_) => (self.bounds.per_address, GRACE),
            None => (self.bounds.proxies, Duration::ZERO),
        };
        let now = self.moment();
        let mut state = self.lock();
        if state.by_address.get(&address).is_none_or(|count| *count < most) {
            return Ok(Availability::Now);
        }
        let left = |connection: &Connection, since| {
            let is_fresh = connection.fresh.load(Ordering::Relaxed);
            left_of(if is_fresh { GRACE } else { grace }, since, now)
        };
        let may_be_cut =
            |connection: &Connection, since| connection.address == address && left(connection, since).is_zero();
        if let Some((_, connection)) = state.longest_idle(may_be_cut) {
            state.cut(&connection);
            return Ok(Availability::Now);
        }
        if address.is_some() {
            return Err(NoSlot::Address);
        }
        let fresh = |connection: &&Arc<Connection>| {
            let is_fresh = connection.fresh.load(Ordering::Relaxed);
            is_fresh && connection.address.is_none() && !connection.cut.is_cancelled()
        };
        let waits = state.taken.values().filter(fresh).map(|connection| {
            match connection.idle_since.load(Ordering::Relaxed) {
                // Its task starts within moments.
                BUSY => SOON,
                since => left(connection, since).max(SOON),
            }
        });
        waits.min().map(Availability::Within).ok_or(NoSlot::Address)
    }

    /// Evicts the connection that has been idle for longest, if the grace period is over; returns when to check again.
    fn cut_longest_idle(&self) -> Duration {
        let now = self.moment();
        let mut state = self.lock();
        let Some((since, connection)) = state.longest_idle(|_, _| true) else {
            return GRACE;
        };
        let left = left_of(GRACE, since, now);
        if left.is_zero() {
            state.cut(&connection);
            return GRACE;
        }
        left
    }

    /// Nanoseconds since the creation, never [`BUSY`].
    fn moment(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(BUSY + 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left_of(grace: Duration, since: u64, now: u64) -> Duration {
    grace.saturating_sub(Duration::from_nanos(now.saturating_sub(since)))
}

impl State {
    /// The longest idle connection for which `of` returns true, given the start of its idle time.
    fn longest_idle(&self, of: impl Fn(&Connection, u64) -> bool) -> Option<(u64, Arc<Connection>)> {
        let idle = self
            .taken
            .values()
            .filter(|connection| !connection.cut.is_cancelled())
            .map(|connection| (connection.idle_since.load(Ordering::Relaxed), connection))
            .filter(|(since, connection)| *since != BUSY && of(connection, *since));
        idle.min_by_key(|(since, _)| *since)
            .map(|(since, connection)| (since, Arc::clone(connection)))
    }

    fn cut(&mut self, connection: &Connection) {
        connection.cut.cancel();
        self.forget(connection.address);
    }

    fn forget(&mut self, address: Address) {
        if let Entry::Occupied(mut count) = self.by_address.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Slot {
    /// Waits until the connection is evicted.
    pub(crate) async fn evicted(&self) {
        self.connection.cut.cancelled().await;
    }

    /// Its connection.
    pub(crate) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Records the first service of the connection.
    pub(crate) fn served(&self) {
        self.connection.idle_since.store(self.slots.moment(), Ordering::Relaxed);
    }

    /// Marks a request with an incomplete body: until it is complete, the connection may be evicted like an idle one.
    pub(crate) fn request(&self) -> Busy {
        self.connection.fresh.store(false, Ordering::Relaxed);
        self.connection.has_request.store(true, Ordering::Relaxed);
        self.connection.idle_since.store(self.slots.moment(), Ordering::Relaxed);
        Busy {
            slots: Arc::clone(&self.slots),
            connection: Arc::clone(&self.connection),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.taken.remove(&self.number);
        if !self.connection.cut.is_cancelled() {
            state.forget(self.connection.address);
        }
    }
}

/// A request in progress.
#[derive(Debug)]
pub(crate) struct Busy {
    slots: Arc<ConnectionSlots>,
    connection: Arc<Connection>,
}

impl Busy {
    /// Marks the request as complete: the connection keeps its slot until the answer is sent.
    pub(crate) fn whole(&self) {
        self.connection.idle_since.store(BUSY, Ordering::Relaxed);
    }
}

/// Body of a request. Once it is complete, the request counts as in progress.
#[derive(Debug)]
pub(crate) struct Arriving<B> {
    pub(crate) body: B,
    pub(crate) busy: Arc<Busy>,
}

impl<B: Body + Unpin> Body for Arriving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || this.body.is_end_stream() {
            this.busy.whole();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.connection.has_request.store(false, Ordering::Relaxed);
        self.connection.idle_since.store(self.slots.moment(), Ordering::Relaxed);
    }
}

/// Body of an answer that keeps its request in progress until it is sent.
#[derive(Debug)]
pub(crate) struct Held<B> {
    pub(crate) body: B,
    pub(crate) _busy: Arc<Busy>,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn slots(all: usize) -> Arc<ConnectionSlots> {
        ConnectionSlots::new(Bounds {
            all,
            per_address: 2,
            // The limit of proxies is tested elsewhere.
            proxies: all + 1,
        })
    }

    /// A slot with a connection that is served and has sent nothing.
    async fn served(slots: &Arc<ConnectionSlots>, from: IpAddr) -> Result<Slot, NoSlot> {
        let slot = slots.take(from, false).await?;
        slot.served();
        Ok(slot)
    }

    fn busy(slot: &Slot) -> Busy {
        let busy = slot.request();
        busy.whole();
        busy
    }

    /// Releases the slot once it is evicted.
    async fn makes_way(slot: Slot) {
        let evicted = timeout(Duration::from_secs(1), slot.evicted()).await;
        evicted.expect("an eviction in time");
    }

    fn evicted(slot: &Slot) -> bool {
        slot.connection.cut.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_evicted_and_a_busy_one_is_not() {
        let slots = slots(3);
        let [first, second, third] = [
            served(&slots, HERE).await.unwrap(),
            served(&slots, HERE).await.unwrap(),
            served(&slots, HERE).await.unwrap(),
        ];
        let under_way = busy(&first);
        tokio::time::advance(Duration::from_millis(10)).await;
        drop(second.request());
        // The first is busy; the second was busy later than the third.
        let newcomer = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { served(&slots, HERE).await }
        });
        let came = Instant::now();
        timeout(Duration::from_secs(1), third.evicted()).await.unwrap();
        assert!(
            came.elapsed() >= GRACE - Duration::from_millis(10),
            "it had its grace period"
        );
        assert!(!evicted(&first) && !evicted(&second) && !newcomer.is_finished());
        drop(third);
        let newcomer = newcomer.await.unwrap().unwrap();
        assert!(!evicted(&newcomer));

        let all_busy = [under_way, busy(&second), busy(&newcomer)];
        let mut next = std::pin::pin!(served(&slots, HERE));
        let full = timeout(Duration::from_secs(1), next.as_mut()).await;
        assert!(full.is_err(), "all are busy");
        assert!(!evicted(&first) && !evicted(&second) && !evicted(&newcomer));
        // A connection that was busy at the arrival of the new one is evicted once it is idle.
        let [under_way, ..] = all_busy;
        drop(under_way);
        let (slot, ()) = tokio::join!(timeout(Duration::from_secs(1), next), makes_way(first));
        assert!(slot.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_incomplete_request_is_evicted_and_a_complete_one_is_not() {
        let slots = slots(2);
        let (slow, whole) = (served(&slots, HERE).await.unwrap(), served(&slots, HERE).await.unwrap());
        let (_unfinished, _finished) = (slow.request(), busy(&whole));
        let newcomer = timeout(Duration::from_secs(1), served(&slots, HERE));
        let (slot, ()) = tokio::join!(newcomer, makes_way(slow));
        assert!(slot.unwrap().is_ok() && !evicted(&whole));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_at_its_bound_evicts_its_own_or_is_refused() {
        let slots = slots(10);
        let far: IpAddr = "192.0.2.1".parse().unwrap();
        let here = served(&slots, HERE).await.unwrap();
        let (first, second) = (served(&slots, far).await.unwrap(), served(&slots, far).await.unwrap());
        assert_eq!(served(&slots, far).await.unwrap_err(), NoSlot::Address, "both are new");
        tokio::time::advance(GRACE + Duration::from_millis(1)).await;
        let third = served(&slots, far).await.unwrap();
        assert!(evicted(&first) && !evicted(&second) && !evicted(&here));
        let _all_busy = [busy(&second), busy(&third)];
        tokio::time::advance(GRACE + Duration::from_millis(1)).await;
        assert_eq!(served(&slots, far).await.unwrap_err(), NoSlot::Address, "both are busy");
        assert!(slots.take("192.0.2.2".parse().unwrap(), false).await.is_ok());
        drop((first, second));
        assert!(served(&slots, far).await.is_ok(), "a released slot");
        drop((third, here));
        assert!(slots.lock().by_address.len() <= 1, "{:?}", slots.lock().by_address);
    }

    /// A thousand connections while the processors are busy: those that are not served yet, or whose request is not
    /// read yet, are not idle.
    #[tokio::test(start_paused = true)]
    async fn an_unread_connection_is_not_idle_and_new_ones_wait() {
        let slots = ConnectionSlots::new(Bounds {
            all: 10,
            per_address: 10,
            proxies: 3,
        });
        let [accepted, unread, answered] = [
            slots.take(HERE, false).await.unwrap(),
            slots.take(HERE, false).await.unwrap(),
            served(&slots, HERE).await.unwrap(),
        ];
        unread.served();
        drop(answered.request());
        let came = Instant::now();
        let newcomer = served(&slots, HERE).await.unwrap();
        assert!(evicted(&answered) && !evicted(&unread) && !evicted(&accepted));
        assert_eq!(
            came.elapsed(),
            Duration::ZERO,
            "an answered connection is evicted immediately"
        );
        let _busy = busy(&newcomer);
        let third = served(&slots, HERE).await.unwrap();
        assert!(evicted(&unread) && !evicted(&accepted));
        assert!(came.elapsed() >= GRACE, "it had its grace period");
        let _all_busy = [busy(&third), busy(&accepted)];
        assert_eq!(served(&slots, HERE).await.unwrap_err(), NoSlot::Address, "all are busy");
    }
}
