//! Who may do what: tokens, the loopback rule, and how often.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};

use super::Cx;
use super::problem::ApiError;
use crate::config::{Auth, Config};
use crate::secret::Secret;
use crate::server::Peer;
use crate::ws::network_of;

/// Requests at once, in seconds' worth of the average: a page that opens asks for a dozen things.
const BURST_SECONDS: u32 = 3;
/// Addresses that are remembered before the idle ones are forgotten.
const ADDRESSES: usize = 10_000;

/// Requests by address.
#[derive(Debug)]
pub(super) struct Pace {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            clock: DefaultClock::default(),
        }
    }

    /// Refuses an address that asks too often.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Box<Response>> {
        self.wait(address).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let reason = format!("too many requests from {address}: again in {seconds} s");
            let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, reason).into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Box::new(response)
        })
    }

    /// Whether this address may ask now; else after how long. Loopback is free: behind a proxy everybody comes from there.
    fn wait(&self, address: IpAddr) -> Result<(), Duration> {
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        if self.limiter.len() > ADDRESSES {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(&network_of(address))
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// Whether a request with these headers may read: anybody, without `auth.read_token`; who may change things may read too.
pub fn may_read(auth: &Auth, headers: &HeaderMap) -> bool {
    auth.read_token.is_none()
        || carries(headers, auth.read_token.as_ref())
        || carries(headers, auth.admin_token.as_ref())
}

/// Lets through who may read.
pub(super) async fn read(State(cx): Cx, request: Request, next: Next) -> Response {
    if may_read(&cx.config().auth, request.headers()) {
        return next.run(request).await;
    }
    ApiError::unauthorized("reading needs a token: send Authorization: Bearer TOKEN with auth.read_token")
        .into_response()
}

/// Lets through who may change things and read the log.
pub(super) async fn admin(
    State(cx): Cx,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match may_administer(&cx.config(), peer.ip(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn may_administer(config: &Config, from: IpAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    match &config.auth.admin_token {
        Some(token) if carries(headers, Some(token)) => Ok(()),
        Some(_) => Err(ApiError::unauthorized(
            "this needs a token: send Authorization: Bearer TOKEN with auth.admin_token",
        )),
        None if from.to_canonical().is_loopback() => Ok(()),
        None => Err(ApiError::unauthorized(
            "without auth.admin_token only loopback addresses may do this: set one, or ask from the relay's machine",
        )),
    }
}

fn carries(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| {
        let (scheme, token) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.zip(given).is_some_and(|(token, given)| token.is(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_pace_and_loopback_none() {
        let pace = Pace::new(NonZeroU32::MIN);
        let far: IpAddr = "192.0.2.7".parse().unwrap();
        assert!((0..BURST_SECONDS).all(|_| pace.wait(far).is_ok()));
        assert!(pace.wait(far).unwrap_err() <= Duration::from_secs(1));
        assert!(pace.wait("192.0.2.8".parse().unwrap()).is_ok(), "another address");
        assert!((0..100).all(|_| pace.wait("127.0.0.1".parse().unwrap()).is_ok()));
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let token = Secret::new("0123456789abcdef".to_owned());
        let with = |value: &'static str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert!(carries(&with("Bearer 0123456789abcdef"), Some(&token)));
        assert!(carries(&with("bearer  0123456789abcdef"), Some(&token)));
        for wrong in [
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer",
            "",
        ] {
            assert!(!carries(&with(wrong), Some(&token)), "{wrong}");
        }
        assert!(!carries(&HeaderMap::new(), Some(&token)));
        assert!(!carries(&with("Bearer 0123456789abcdef"), None));
    }
}
