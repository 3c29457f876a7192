//! Rates of requests: a fixed interval between requests, after a burst. A client beyond it waits.

use std::collections::HashMap;
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

    fn is_idle(&self, now: Instant) -> bool {
        self.used_until.is_none_or(|until| until <= now)
    }
}

/// Rates by address.
#[derive(Debug)]
pub(crate) struct Paces {
    /// That of an address without requests.
    new: Pace,
    tracked: Mutex<Tracked>,
}

#[derive(Debug, Default)]
struct Tracked {
    paces: HashMap<IpAddr, Pace>,
    /// When idle ones were last forgotten: not more than once a second, as that looks at all of them.
    cleared: Option<Instant>,
}

impl Paces {
    /// Of requests.
    pub(crate) fn of_requests() -> Self {
        Self::new(Pace::of_requests())
    }

    /// Of new subscriptions.
    pub(crate) fn of_subscriptions() -> Self {
        Self::new(Pace::new(SUBSCRIPTION_INTERVAL, SUBSCRIPTIONS_AT_ONCE))
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
        let Tracked { paces, cleared } = &mut *tracked;
        if paces.len() >= ADDRESSES && cleared.is_none_or(|last| now >= last + Duration::from_secs(1)) {
            paces.retain(|_, pace| !pace.is_idle(now));
            *cleared = Some(now);
        }
        // Beyond the number of tracked addresses, all new ones share one rate.
        let key = if paces.len() < ADDRESSES || paces.contains_key(&address) {
            address
        } else {
            IpAddr::from([0; 4])
        };
        Some(use_up(paces.entry(key).or_insert(self.new)))
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
        for n in 0..2 * ADDRESSES as u32 {
            paces.accept(address(n), 1, now);
        }
        assert!(paces.tracked.lock().unwrap().paces.len() <= ADDRESSES + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connections_of_an_address_share_its_rate_of_subscriptions() {
        let (paces, now) = (Paces::of_subscriptions(), Instant::now());
        let [one, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        assert!((0..SUBSCRIPTIONS_AT_ONCE).all(|_| paces.accept_now(one, now)));
        assert!(!paces.accept_now(one, now));
        assert!(paces.accept_now(other, now) && paces.accept_now([127, 0, 0, 1].into(), now));
        assert!(paces.accept_now(one, now + SUBSCRIPTION_INTERVAL));
    }
}
