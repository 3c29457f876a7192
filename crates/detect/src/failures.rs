//! Rate limit of requests with a wrong token, by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sdk_relay_platform::clock;

/// Failures of one address at once: an app may have as many watches that have ended while it slept.
const AT_ONCE: u32 = 60;
/// Interval of further ones.
const INTERVAL: Duration = Duration::from_secs(1);
/// Number of addresses above which those without recent failures are forgotten. More of them have failed recently only
/// in an attack from as many networks; then all are forgotten.
const ADDRESSES: usize = 10_000;

/// Counts failures. An address is free of them once their time is over.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// When all failures of an address are over, if each takes [`INTERVAL`].
    over: Mutex<HashMap<IpAddr, Instant>>,
}

impl Failures {
    /// Whether this address may try; else the wait in whole seconds. Loopback addresses may always: behind a proxy that
    /// is not trusted, all clients share one.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), u64> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        let until = over.get(&address).copied().unwrap_or(now);
        let too_long = until
            .saturating_duration_since(now)
            .saturating_sub(INTERVAL * (AT_ONCE - 1));
        if address.to_canonical().is_loopback() || too_long.is_zero() {
            Ok(())
        } else {
            Err(too_long.as_secs() + 1)
        }
    }

    /// An attempt of this address has failed.
    pub(super) fn add(&self, address: IpAddr) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        if over.len() >= ADDRESSES {
            over.retain(|_, until| *until > now);
            if over.len() >= ADDRESSES {
                over.clear();
            }
        }
        let until = over.entry(address).or_insert(now);
        *until = (*until).max(now) + INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xC000_0200 + n).into()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_many_failures_waits_and_others_do_not() {
        let failures = Failures::default();
        for n in 0..AT_ONCE {
            assert_eq!(failures.check(address(1)), Ok(()), "{n}");
            failures.add(address(1));
        }
        assert_eq!(failures.check(address(1)), Err(2));
        assert_eq!(failures.check(address(2)), Ok(()));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(failures.check(address(1)), Ok(()));
        failures.add(address(1));
        assert_eq!(failures.check(address(1)), Err(2));
        let here = IpAddr::from([127, 0, 0, 1]);
        (0..2 * AT_ONCE).for_each(|_| failures.add(here));
        assert_eq!(failures.check(here), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_addresses_are_bounded() {
        let failures = Failures::default();
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            failures.add(address(n));
        }
        let known = failures.over.lock().unwrap().len();
        assert!(known <= ADDRESSES, "{known}");
    }
}
