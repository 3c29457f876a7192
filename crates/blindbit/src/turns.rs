//! BlindBit's routes are paced by waiting where other routes refuse: a wallet that scans asks for some hundred blocks
//! at once, and takes a 429 for the end of it.

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
use sdk_relay_http_common::Pace;
use sdk_relay_transport::network_of;
use tokio::time::{Instant, sleep_until};

use crate::answer::Refusal;
use crate::path::is_blindbit;

/// Requests of one address that wait at most: spdk asks 600 at once, in three times 200.
const WAITING: u32 = 1000;
/// How long a request waits at most: half of what an answer may take in all.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Addresses that are remembered. Beyond them, all new ones share one pace until the idle are forgotten.
const ADDRESSES: usize = 10_000;

/// Requests by address: each has its turn at a fixed interval, after a second's worth at once.
#[derive(Debug)]
pub(crate) struct Turns {
    interval: Duration,
    /// How far ahead of its turns an address may be without waiting.
    at_once: Duration,
    longest_wait: Duration,
    /// When each address will have used up what it has asked for.
    used_until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Turns {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            at_once: Duration::from_secs(1).saturating_sub(interval),
            longest_wait: (interval * WAITING).min(LONGEST_WAIT),
            used_until: Mutex::default(),
        }
    }

    /// Waits for the turn of a request from this address; refuses it where too many wait already. One that is given up
    /// has had its turn. Loopback is free, as for all routes.
    async fn turn_of(&self, address: IpAddr) -> Result<(), Box<Response>> {
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

    /// When it is the turn of a request that comes now; or after how long one may come that finds a place among those
    /// that wait.
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

impl Pace for Turns {
    fn claims(&self, request: &mut Request) -> bool {
        is_blindbit(request)
    }

    fn wait(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Result<(), Box<Response>>> + Send + '_>> {
        Box::pin(self.turn_of(address))
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

    fn turns(per_second: u32) -> Turns {
        Turns::new(NonZeroU32::new(per_second).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_wallet_waits_and_is_not_refused() {
        let (turns, far) = (turns(100), FAR.parse().unwrap());
        let began = Instant::now();
        // A second's worth at once, and then one every 10 ms, in the order in which they came.
        for n in 0..600 {
            assert!(turns.turn_of(far).await.is_ok(), "request {n}");
        }
        assert!((Duration::from_secs(5)..Duration::from_millis(5100)).contains(&began.elapsed()));
        let began = Instant::now();
        assert!(turns.turn_of("192.0.2.8".parse().unwrap()).await.is_ok());
        assert!(turns.turn_of("127.0.0.1".parse().unwrap()).await.is_ok());
        assert_eq!(began.elapsed(), Duration::ZERO, "others do not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_no_more() {
        let (turns, far): (_, IpAddr) = (turns(100), FAR.parse().unwrap());
        let now = Instant::now();
        let served = (0..5000).take_while(|_| turns.turn(far, now).is_ok()).count();
        assert_eq!(served, 100 + WAITING as usize);
        let refused = turns.turn_of(far).await.unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &HeaderValue::from(1))
        );
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        // A slow pace lets fewer wait, so that none waits longer than half a minute.
        let slow = self::turns(1);
        let last = (0..5000).map_while(|_| slow.turn(far, now).ok()).last();
        assert_eq!(last, Some(now + LONGEST_WAIT));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_without_number_share_a_pace() {
        let (turns, now) = (turns(1), Instant::now());
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().wrapping_add(1 << 24).to_be_bytes());
        for n in 0..ADDRESSES {
            assert_eq!(turns.turn(address(n), now), Ok(now));
        }
        assert_eq!(turns.turn(address(ADDRESSES), now), Ok(now));
        assert!(turns.turn(address(ADDRESSES + 1), now) > Ok(now), "the shared place");
        assert!(turns.used_until.lock().unwrap().len() <= ADDRESSES + 1);
        let later = now + Duration::from_secs(3);
        assert_eq!(turns.turn(address(ADDRESSES + 2), later), Ok(later));
        assert_eq!(turns.used_until.lock().unwrap().len(), 1, "the idle are forgotten");
    }
}
