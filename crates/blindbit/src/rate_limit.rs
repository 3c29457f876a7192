//! Rate limit of the BlindBit routes: requests wait instead of being refused, because a scanning wallet requests
//! several hundred blocks at once, and stops at a 429.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use sdk_relay_http_common::RateLimiter;
use sdk_relay_transport::network_of;
use tokio::time::{Instant, sleep_until};

use crate::answer::Refusal;
use crate::path::is_blindbit;

/// Largest number of waiting requests of one address: spdk sends 600 at once, in three batches of 200.
const WAITING: u32 = 1000;
/// Longest wait of a request: half the timeout of an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Number of tracked addresses. Above it, all new ones share one limit until idle ones are removed.
const ADDRESSES: usize = 10_000;

/// Rate limits by address: a fixed interval between requests, after an initial burst of one second. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct RequestPacer {
    interval: Duration,
    /// Burst: how far ahead an address may be without waiting.
    at_once: Duration,
    longest_wait: Duration,
    /// When each address will have used up its accepted requests.
    used_until: Arc<Mutex<HashMap<IpAddr, Instant>>>,
}

impl RequestPacer {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            at_once: Duration::from_secs(1).saturating_sub(interval),
            longest_wait: (interval * WAITING).min(LONGEST_WAIT),
            used_until: Arc::default(),
        }
    }

    /// Delays a request of this address according to its rate limit; refuses it if too many wait. A cancelled request
    /// counts. Loopback addresses are exempt, as on all routes.
    async fn wait_turn(&self, address: IpAddr) -> Result<(), Box<Response>> {
        let paced = self.pace(address, 1).await;
        paced.map_err(|refusal| {
            let seconds = HeaderValue::from(refusal.seconds);
            let mut response = Refusal::new(StatusCode::TOO_MANY_REQUESTS, refusal.to_string()).into_response();
            response.headers_mut().insert(RETRY_AFTER, seconds);
            Box::new(response)
        })
    }

    /// Requests that may proceed together without delaying others of the address noticeably: those of a tenth of a
    /// second.
    pub(crate) fn together(&self) -> u32 {
        let tenth = Duration::from_millis(100).as_nanos() / self.interval.as_nanos().max(1);
        u32::try_from(tenth).unwrap_or(u32::MAX).max(1)
    }

    /// The same for this many requests, which proceed together.
    pub(crate) async fn pace(&self, address: IpAddr, requests: u32) -> Result<(), TooManyWait> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        match self.turn(network_of(address), Instant::now(), requests) {
            Ok(turn) => {
                sleep_until(turn).await;
                Ok(())
            }
            Err(after) => Err(TooManyWait {
                address,
                seconds: after.as_secs() + 1,
            }),
        }
    }

    /// Gives back requests that were counted and did not proceed.
    pub(crate) fn give_back(&self, address: IpAddr, requests: u32) {
        let mut used_until = self.used_until.lock().unwrap_or_else(PoisonError::into_inner);
        // Where many share a limit, they have waited for nothing.
        if let Some(until) = used_until.get_mut(&network_of(address))
            && let Some(before) = until.checked_sub(self.interval * requests)
        {
            *until = before;
        }
    }

    /// The time at which requests arriving now may proceed; or, if the queue is full, the time until it has capacity.
    fn turn(&self, address: IpAddr, now: Instant, requests: u32) -> Result<Instant, Duration> {
        let mut used_until = self.used_until.lock().unwrap_or_else(PoisonError::into_inner);
        if used_until.len() >= ADDRESSES {
            used_until.retain(|_, until| *until > now);
        }
        let key = if used_until.len() < ADDRESSES || used_until.contains_key(&address) {
            address
        } else {
            IpAddr::from([0; 4])
        };
        let used = used_until.get(&key).map_or(now, |until| (*until).max(now));
        let wait = used.duration_since(now).saturating_sub(self.at_once);
        if wait > self.longest_wait {
            return Err(wait - self.longest_wait);
        }
        used_until.insert(key, used + self.interval * requests);
        Ok(now + wait)
    }
}

impl RateLimiter for RequestPacer {
    fn claims(&self, request: &mut Request) -> bool {
        is_blindbit(request)
    }

    fn wait(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Result<(), Box<Response>>> + Send + '_>> {
        Box::pin(self.wait_turn(address))
    }
}

/// A request beyond those that may wait.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many requests from {address} are waiting: try again in {seconds} s")]
pub(crate) struct TooManyWait {
    address: IpAddr,
    /// Until the next attempt.
    pub(crate) seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: &str = "192.0.2.7";

    fn turns(per_second: u32) -> RequestPacer {
        RequestPacer::new(NonZeroU32::new(per_second).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_a_wallet_wait_and_are_not_refused() {
        let (turns, far) = (turns(100), FAR.parse().unwrap());
        let began = Instant::now();
        // A burst of one second, and then one every 10 ms, in order of arrival.
        for n in 0..600 {
            assert!(turns.wait_turn(far).await.is_ok(), "request {n}");
        }
        assert!((Duration::from_secs(5)..Duration::from_millis(5100)).contains(&began.elapsed()));
        let began = Instant::now();
        assert!(turns.wait_turn("192.0.2.8".parse().unwrap()).await.is_ok());
        assert!(turns.wait_turn("127.0.0.1".parse().unwrap()).await.is_ok());
        assert_eq!(began.elapsed(), Duration::ZERO, "others do not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_waiting_requests_is_bounded() {
        let (turns, far): (_, IpAddr) = (turns(100), FAR.parse().unwrap());
        let now = Instant::now();
        let served = (0..5000).take_while(|_| turns.turn(far, now, 1).is_ok()).count();
        assert_eq!(served, 100 + WAITING as usize);
        let refused = turns.wait_turn(far).await.unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &HeaderValue::from(1))
        );
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        // With a low rate fewer requests may wait, so that none waits longer than half a minute.
        let slow = self::turns(1);
        let last = (0..5000).map_while(|_| slow.turn(far, now, 1).ok()).last();
        assert_eq!(last, Some(now + LONGEST_WAIT));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_together_count_each() {
        let (turns, far) = (turns(100), FAR.parse().unwrap());
        let began = Instant::now();
        for _ in 0..10 {
            turns.pace(far, 64).await.unwrap();
        }
        // The last ones wait for the 576 before them, less the burst of 99.
        let took = began.elapsed().as_millis();
        assert!((4770..4800).contains(&took), "{took} ms");
        assert!(turns.clone().pace("127.0.0.1".parse().unwrap(), 10_000).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_given_back_do_not_count() {
        let (turns, far) = (turns(100), FAR.parse().unwrap());
        let began = Instant::now();
        for _ in 0..10 {
            turns.pace(far, 64).await.unwrap();
            turns.give_back(far, 54);
        }
        // Ten each: the burst of 99 and one more.
        assert_eq!(began.elapsed(), Duration::ZERO);
        turns.give_back("192.0.2.9".parse().unwrap(), 5);
        assert_eq!(turns.used_until.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn untracked_addresses_share_a_limit() {
        let (turns, now) = (turns(1), Instant::now());
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().wrapping_add(1 << 24).to_be_bytes());
        for n in 0..ADDRESSES {
            assert_eq!(turns.turn(address(n), now, 1), Ok(now));
        }
        assert_eq!(turns.turn(address(ADDRESSES), now, 1), Ok(now));
        assert!(turns.turn(address(ADDRESSES + 1), now, 1) > Ok(now), "the shared limit");
        assert!(turns.used_until.lock().unwrap().len() <= ADDRESSES + 1);
        let later = now + Duration::from_secs(3);
        assert_eq!(turns.turn(address(ADDRESSES + 2), later, 1), Ok(later));
        assert_eq!(turns.used_until.lock().unwrap().len(), 1, "idle addresses are removed");
    }
}
