//! Rate limit of the BlindBit routes: requests wait instead of being refused, because a scanning wallet requests
//! several hundred blocks at once, and stops at a 429.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
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

/// Rate limits by address: a fixed interval between requests, after an initial burst of one second.
#[derive(Debug)]
pub(crate) struct RequestPacer {
    interval: Duration,
    /// Burst: how far ahead an address may be without waiting.
    at_once: Duration,
    longest_wait: Duration,
    /// When each address will have used up its accepted requests.
    used_until: Mutex<HashMap<IpAddr, Instant>>,
}

impl RequestPacer {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            at_once: Duration::from_secs(1).saturating_sub(interval),
            longest_wait: (interval * WAITING).min(LONGEST_WAIT),
            used_until: Mutex::default(),
        }
    }

    /// Delays a request of this address according to its rate limit; refuses it if too many wait. A cancelled request
    /// counts. Loopback addresses are exempt, as on all routes.
    async fn wait_turn(&self, address: IpAddr) -> Result<(), Box<Response>> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        match self.turn(network_of(address), Instant::now()) {
            Ok(turn) => {
                sleep_until(turn).await;
                Ok(())
            }
            Err(after) => Err(refused(address, after)),
        }
    }

    /// The time at which a request arriving now may proceed; or, if the queue is full, the time until it has capacity.
    fn turn(&self, address: IpAddr, now: Instant) -> Result<Instant, Duration> {
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
        used_until.insert(key, used + self.interval);
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

fn refused(address: IpAddr, after: Duration) -> Box<Response> {
    let seconds = after.as_secs() + 1;
    let reason = format!("too many requests from {address} are waiting: try again in {seconds} s");
    let mut response = Refusal::new(StatusCode::TOO_MANY_REQUESTS, reason).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    Box::new(response)
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
        let served = (0..5000).take_while(|_| turns.turn(far, now).is_ok()).count();
        assert_eq!(served, 100 + WAITING as usize);
        let refused = turns.wait_turn(far).await.unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &HeaderValue::from(1))
        );
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        // With a low rate fewer requests may wait, so that none waits longer than half a minute.
        let slow = self::turns(1);
        let last = (0..5000).map_while(|_| slow.turn(far, now).ok()).last();
        assert_eq!(last, Some(now + LONGEST_WAIT));
    }

    #[tokio::test(start_paused = true)]
    async fn untracked_addresses_share_a_limit() {
        let (turns, now) = (turns(1), Instant::now());
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().wrapping_add(1 << 24).to_be_bytes());
        for n in 0..ADDRESSES {
            assert_eq!(turns.turn(address(n), now), Ok(now));
        }
        assert_eq!(turns.turn(address(ADDRESSES), now), Ok(now));
        assert!(turns.turn(address(ADDRESSES + 1), now) > Ok(now), "the shared limit");
        assert!(turns.used_until.lock().unwrap().len() <= ADDRESSES + 1);
        let later = now + Duration::from_secs(3);
        assert_eq!(turns.turn(address(ADDRESSES + 2), later), Ok(later));
        assert_eq!(turns.used_until.lock().unwrap().len(), 1, "idle addresses are removed");
    }
}
