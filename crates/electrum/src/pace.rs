//! Rates of requests: a fixed interval between requests, after a burst. A client beyond it waits.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{ADDRESSES, REQUESTS_AT_ONCE, REQUESTS_PER_SECOND, SUBSCRIPTION_INTERVAL, SUBSCRIPTIONS_AT_ONCE};

/// The rate of one client, or of one kind of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// How far ahead the client may be.
    burst: Duration,
    /// When it will have used up the requests that were accepted.
    used_until: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(interval: Duration, at_once: u32) -> Self {
        Self {
            interval,
            burst: interval * at_once.saturating_sub(1),
            used_until: None,
        }
    }

    /// Of all requests of one client.
    pub(crate) fn of_requests() -> Self {
        Self::new(Duration::from_secs(1) / REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
    }

    /// Accepts requests. Returns when they may be handled.
    pub(crate) fn accept(&mut self, requests: u32, now: Instant) -> Instant {
        let used = self.used_until.map_or(now, |until| until.max(now));
        let until = used + self.interval * requests;
        self.used_until = Some(until);
        let ahead = used.duration_since(now);
        now + ahead.saturating_sub(self.burst)
    }

    /// Accepts one request if it need not wait.
    pub(crate) fn accept_now(&mut self, now: Instant) -> bool {
        let mut next = *self;
        let is_now = next.accept(1, now) <= now;
        if is_now {
            *self = next;
        }
        is_now
    }
}

/// Rates by address.
#[derive(Debug)]
pub(crate) struct Paces {
    /// That of an address without requests.
    new: Pace,
    tracked: Mutex<Tracked>,
}

/// At most [`ADDRESSES`] of them.
#[derive(Debug, Default)]
struct Tracked {
    /// Each with when its requests are used up.
    paces: HashMap<IpAddr, (Instant, Pace)>,
    /// The same, the one that is idle longest, or soonest, first.
    by_end: BTreeSet<(Instant, IpAddr)>,
}

/// Subscriptions of one address in a short time, where a connection may have so many.
pub(crate) fn subscriptions_at_once(of_connection: usize) -> u32 {
    u32::try_from(of_connection)
        .unwrap_or(u32::MAX)
        .max(SUBSCRIPTIONS_AT_ONCE)
}

impl Paces {
    /// Of requests.
    pub(crate) fn of_requests() -> Self {
        Self::new(Pace::of_requests())
    }

    /// Of new subscriptions, of which a connection may have so many.
    pub(crate) fn of_subscriptions(of_connection: usize) -> Self {
        Self::new(Pace::new(SUBSCRIPTION_INTERVAL, subscriptions_at_once(of_connection)))
    }

    fn new(new: Pace) -> Self {
        Self {
            new,
            tracked: Mutex::default(),
        }
    }

    /// As [`Pace::accept`]. Loopback addresses, from which all clients of a proxy come, are not limited.
    pub(crate) fn accept(&self, address: IpAddr, requests: u32, now: Instant) -> Instant {
        self.of(address, now, |pace| pace.accept(requests, now)).unwrap_or(now)
    }

    /// As [`Pace::accept_now`].
    pub(crate) fn accept_now(&self, address: IpAddr, now: Instant) -> bool {
        self.of(address, now, |pace| pace.accept_now(now)).unwrap_or(true)
    }

    /// `None`: the address is not limited.
    fn of<T>(&self, address: IpAddr, now: Instant, use_up: impl FnOnce(&mut Pace) -> T) -> Option<T> {
        if address.to_canonical().is_loopback() {
            return None;
        }
        let mut tracked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner);
        let Tracked { paces, by_end } = &mut *tracked;
        let mut pace = match paces.get(&address) {
            Some((end, pace)) => {
                by_end.remove(&(*end, address));
                *pace
            }
            // A new address has its full rate, however many others there are. What is forgotten for it has used the
            // least of its own.
            None => {
                if paces.len() >= ADDRESSES
                    && let Some((_, idlest)) = by_end.pop_first()
                {
                    paces.remove(&idlest);
                }
                self.new
            }
        };
        let used = use_up(&mut pace);
        let end = pace.used_until.unwrap_or(now);
        by_end.insert((end, address));
        paces.insert(address, (end, pace));
        Some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_handled_at_once_and_the_rest_waits() {
        let now = Instant::now();
        let mut pace = Pace::of_requests();
        assert!((0..REQUESTS_AT_ONCE).all(|_| pace.accept(1, now) == now));
        let interval = Duration::from_secs(1) / REQUESTS_PER_SECOND;
        assert_eq!(pace.accept(1, now), now + interval);
        assert_eq!(pace.accept(100, now), now + 2 * interval);
        assert_eq!(
            pace.accept(1, now),
            now + 102 * interval,
            "a batch counts as its requests"
        );
        assert!(!pace.accept_now(now));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(pace.accept_now(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_limited_each_and_loopback_is_not() {
        let (paces, now) = (Paces::of_requests(), Instant::now());
        let address = |n: u32| IpAddr::from((n + (1 << 24)).to_be_bytes());
        assert!(paces.accept(address(1), 2 * REQUESTS_AT_ONCE, now) == now);
        assert!(paces.accept(address(1), 1, now) > now);
        assert_eq!(paces.accept(address(2), 1, now), now);
        assert_eq!(paces.accept([127, 0, 0, 1].into(), 1_000_000, now), now);
        // A flood of addresses: each has its own rate, and one that has used far more than it may is not forgotten.
        for n in 0..2 * ADDRESSES as u32 {
            assert!(n == 1 || paces.accept(address(n), 1, now) == now, "address {n}");
        }
        assert!(paces.accept(address(1), 1, now) > now);
        let tracked = paces.tracked.lock().unwrap();
        assert_eq!((tracked.paces.len(), tracked.by_end.len()), (ADDRESSES, ADDRESSES));
    }

    #[tokio::test(start_paused = true)]
    async fn the_connections_of_an_address_share_its_rate_of_subscriptions() {
        let (paces, now) = (Paces::of_subscriptions(20), Instant::now());
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        assert!((0..SUBSCRIPTIONS_AT_ONCE).all(|_| paces.accept_now(one, now)));
        assert!(!paces.accept_now(one, now));
        assert!(paces.accept_now(other, now) && paces.accept_now([127, 0, 0, 1].into(), now));
        assert!(paces.accept_now(one, now + SUBSCRIPTION_INTERVAL));
        // As many as one connection may have.
        let paces = Paces::of_subscriptions(1_000);
        assert!((0..1_000).all(|_| paces.accept_now(one, now)));
        assert!(!paces.accept_now(one, now));
    }
}
