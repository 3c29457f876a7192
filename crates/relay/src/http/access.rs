//! Who may do what: tokens, the loopback rule, origins of web pages, and how often.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER, VARY,
};
use hyper::{Method, StatusCode};

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
/// What any page may post: it changes nothing of the relay.
const ANYBODY_POSTS: [&str; 1] = ["/tx"];
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

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

    /// Whether this address may ask now; else after how long. Loopback is free: behind a proxy everybody comes from there.
    fn check(&self, address: IpAddr) -> Result<(), Duration> {
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

/// Refuses who asks too often.
pub(super) async fn pace(
    State(pace): State<Arc<Pace>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match pace.check(peer.ip()) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = wait.as_secs() + 1;
            let mut response = ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("too many requests from {}: again in {seconds} s", peer.ip()),
            )
            .into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
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

/// CORS: any page may read; pages of `http.cors_origins` may also change things, all others are refused even where the browser would not ask,
/// or a page could use the loopback rule against its visitor.
pub(super) async fn origins(State(cx): Cx, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let known = cx.config().cors_origins.iter().any(|o| origin == o.as_str());
    let preflight = request.method() == Method::OPTIONS;
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
    let harmless = ANYBODY_POSTS.contains(&request.uri().path());
    let reads = if harmless {
        true
    } else if preflight {
        asked.is_some_and(|m| m == "GET" || m == "HEAD")
    } else {
        request.method().is_safe()
    };
    if !reads && !known {
        return ApiError::new(
            StatusCode::FORBIDDEN,
            "pages of this origin may not change things here: add it to http.cors_origins",
        )
        .into_response();
    }
    let mut response = if preflight && asked.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let allowed = if known { origin } else { HeaderValue::from_static("*") };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if preflight {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, last-event-id"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_pace_and_loopback_none() {
        let pace = Pace::new(NonZeroU32::MIN);
        let far: IpAddr = "192.0.2.7".parse().unwrap();
        assert!((0..BURST_SECONDS).all(|_| pace.check(far).is_ok()));
        assert!(pace.check(far).unwrap_err() <= Duration::from_secs(1));
        assert!(pace.check("192.0.2.8".parse().unwrap()).is_ok(), "another address");
        assert!((0..100).all(|_| pace.check("127.0.0.1".parse().unwrap()).is_ok()));
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
