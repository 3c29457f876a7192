//! Access control: tokens, the loopback rule, and rate limits.

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
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use sdk_relay_config::Config;
use sdk_relay_echo::short;
use sdk_relay_http_common::ApiError;
use sdk_relay_service::{CheckedHost, RequestHost, Settings, has_bearer_token, may_read};
use sdk_relay_transport::{Peer, network_of};

/// Burst, in seconds of the average rate: opening a page sends a dozen requests.
const BURST_SECONDS: u32 = 3;
/// Number of addresses above which idle ones are removed.
const ADDRESSES: usize = 10_000;

/// Parts of the names of headers that proxies, load balancers, tunnels and CDNs add: `Forwarded`, `X-Forwarded-For`,
/// `X-Real-IP`, `X-Remote-Addr`, `Fastly-Client-IP`, `X-Request-ID` … Direct clients such as curl and browsers send
/// none of these; one that does needs a token, and the answer names the header.
const FORWARDING: [&str; 21] = [
    "forwarded",
    "forwarder",
    "originating-ip",
    "unique-id",
    "real-ip",
    "real-port",
    "client-ip",
    "clientip",
    "client-addr",
    "client-cert",
    "client-verify",
    "user-ip",
    "connecting-ip",
    "remote-ip",
    "remote-addr",
    "remote-host",
    "remote-user",
    "request-id",
    "requestid",
    "correlation-id",
    "trace-id",
];
/// Prefixes of header names of specific proxies: Cloudflare, AWS, Envoy, Fly, Azure, Google, Fastly, Akamai, Vercel,
/// Netlify, Tailscale, ngrok, IIS, HAProxy, Varnish, nginx, OAuth proxies.
const PREFIXES: [&str; 30] = [
    "x-traefik-",
    "x-edge-",
    "cf-",
    "x-amzn-",
    "x-amz-cf-",
    "x-envoy-",
    "fly-",
    "x-azure-",
    "x-ms-client-",
    "x-appengine-",
    "x-cloud-trace-",
    "x-goog-",
    "fastly-",
    "akamai-",
    "x-akamai-",
    "x-vercel-",
    "x-nf-",
    "tailscale-",
    "ngrok-",
    "x-arr-",
    "x-haproxy-",
    "x-varnish",
    "x-nginx-",
    "x-proxy-",
    "proxy-",
    "x-original-",
    "x-auth-request-",
    "x-authentik-",
    "x-b3-",
    "x-ssl-",
];
/// Further headers of proxies, by full name.
const OF_PROXIES: [&str; 14] = [
    "via",
    "max-forwards",
    "x-cache",
    "x-via",
    "cdn-loop",
    "x-host",
    "x-scheme",
    "x-url-scheme",
    "x-served-by",
    "x-request-start",
    "x-queue-start",
    "x-rewrite-url",
    "front-end-https",
    "early-data",
];

/// Rate limit by address.
#[derive(Debug)]
pub(super) struct AddressLimiter {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl AddressLimiter {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            clock: DefaultClock::default(),
        }
    }

    /// Refuses a request over the limit.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Box<Response>> {
        self.wait(address).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let reason = format!("too many requests from {address}: try again in {seconds} s");
            let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, reason).into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Box::new(response)
        })
    }

    /// Whether a request of this address is within the limit; else the time until it is. Loopback addresses are exempt:
    /// behind a proxy that is not in `http.trusted_proxies`, every request comes from there.
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

/// Middleware: allows requests that may read.
pub(super) async fn read(State(settings): State<Arc<Settings>>, request: Request, next: Next) -> Response {
    if may_read(&settings.now().auth, request.headers()) {
        return next.run(request).await;
    }
    ApiError::unauthorized("a token is required for reading: send Authorization: Bearer TOKEN with auth.read_token")
        .into_response()
}

/// Middleware: allows requests that may administer and read the log.
pub(super) async fn admin(
    State(settings): State<Arc<Settings>>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(CheckedHost(host)): Extension<CheckedHost>,
    request: Request,
    next: Next,
) -> Response {
    match may_administer(&settings.now(), peer.ip(), host.as_ref(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Whether a request from this peer, with this checked host and these headers, may administer and read private data.
pub(super) fn may_administer(
    config: &Config,
    peer: IpAddr,
    host: Option<&RequestHost>,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    match &config.auth.admin_token {
        Some(token) if has_bearer_token(headers, Some(token)) => Ok(()),
        Some(_) => Err(ApiError::unauthorized(
            "an administrator's token is required: send Authorization: Bearer TOKEN with auth.admin_token",
        )),
        None => is_local_admin(config, peer, host, headers).map_err(|why| {
            ApiError::unauthorized(format!(
                "an administrator's token is required: set auth.admin_token, and send it as Authorization: Bearer TOKEN. Without a token only requests from the relay's machine are allowed, and {why}"
            ))
        }),
    }
}

/// Whether a request without a token comes from a program on this machine, as far as recognisable; else the reason. A
/// loopback peer is not sufficient: reverse proxies and tunnels are loopback peers, and so is the browser of a visitor
/// of a hostile page.
fn is_local_admin(
    config: &Config,
    peer: IpAddr,
    host: Option<&RequestHost>,
    headers: &HeaderMap,
) -> Result<(), String> {
    if !config.local_admin {
        return Err("http.local_admin is false (or http.trusted_proxies is not empty)".to_owned());
    }
    if !peer.to_canonical().is_loopback() {
        return Err("this request comes from another machine".to_owned());
    }
    if let Some(header) = headers.keys().find(|name| is_forwarding(name)) {
        return Err(format!(
            "the header {} shows that this request came through a proxy",
            short(header.as_str())
        ));
    }
    if host.is_none() {
        return Err(
            "the Host of this request is neither an IP address nor localhost nor listed in http.hosts".to_owned(),
        );
    }
    Ok(())
}

/// Whether proxies add this header to forwarded requests.
fn is_forwarding(header: &HeaderName) -> bool {
    let name = header.as_str();
    FORWARDING.iter().any(|part| name.contains(part))
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || OF_PROXIES.contains(&name)
}

/// Middleware: allows requests with a checked host.
pub(super) async fn known_host(
    Extension(CheckedHost(host)): Extension<CheckedHost>,
    request: Request,
    next: Next,
) -> Response {
    if host.is_some() {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::FORBIDDEN,
        "the name in the header Host is not a name of this relay: add it to http.hosts",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdk_relay_config::{Loader, Overrides};

    #[test]
    fn addresses_are_rate_limited_and_loopback_is_not() {
        let rate_limiter = AddressLimiter::new(NonZeroU32::MIN);
        let far: IpAddr = "192.0.2.7".parse().unwrap();
        assert!((0..BURST_SECONDS).all(|_| rate_limiter.wait(far).is_ok()));
        assert!(rate_limiter.wait(far).unwrap_err() <= Duration::from_secs(1));
        assert!(
            rate_limiter.wait("192.0.2.8".parse().unwrap()).is_ok(),
            "another address"
        );
        assert!((0..100).all(|_| rate_limiter.wait("127.0.0.1".parse().unwrap()).is_ok()));
    }

    #[test]
    fn a_local_admin_is_a_loopback_peer_without_a_proxy_that_names_this_relay() {
        let dir = tempfile::tempdir().unwrap();
        let config = Loader::new(Overrides::default().with_data_dir(dir.path()));
        let config = config.load().unwrap();
        let request = hyper::Request::get("/logs")
            .header("host", "localhost")
            .body(())
            .unwrap();
        let host = RequestHost::of(&request).unwrap();
        let allowed = |peer: &str, host, headers: &HeaderMap| {
            is_local_admin(&config, peer.parse().unwrap(), host, headers).is_ok()
        };
        let none = HeaderMap::new();
        for peer in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert!(allowed(peer, host.as_ref(), &none), "{peer}");
        }
        for peer in [
            "192.168.1.2",
            "10.0.0.1",
            "::ffff:192.0.2.1",
            "fe80::1",
            "::",
            "0.0.0.0",
        ] {
            assert!(!allowed(peer, host.as_ref(), &none), "{peer}");
        }
        assert!(!allowed("127.0.0.1", None, &none));
        let known = [
            "x-forwarded-for",
            "x-forwarded-anything",
            "forwarded-for",
            "x_forwarded_for",
            "x-real-ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-unique-id",
            "x-originating-ip",
            "x-traefik-router",
            "max-forwards",
            "x-cache",
            "fastly-client-ip",
            "x-azure-clientip",
            "true-client-ip",
            "cf-connecting-ip",
            "x-appengine-user-ip",
            "x-remote-addr",
            "x-remote-ip",
            "cf-ray",
            "cf-ipcountry",
            "x-amzn-trace-id",
            "x-amzn-requestid",
            "x-envoy-attempt-count",
            "fly-region",
            "x-azure-ref",
            "x-original-url",
            "x-request-id",
            "x-correlation-id",
            "x-cloud-trace-context",
            "tailscale-user-login",
            "proxy-connection",
        ];
        let of_programs = [
            "accept",
            "accept-encoding",
            "accept-language",
            "access-control-request-method",
            "authorization",
            "cache-control",
            "connection",
            "content-length",
            "content-type",
            "cookie",
            "dnt",
            "expect",
            "host",
            "if-modified-since",
            "if-none-match",
            "last-event-id",
            "origin",
            "pragma",
            "priority",
            "range",
            "referer",
            "save-data",
            "sec-ch-ua-platform",
            "sec-fetch-site",
            "sec-gpc",
            "sec-websocket-key",
            "te",
            "transfer-encoding",
            "upgrade",
            "upgrade-insecure-requests",
            "user-agent",
            "x-requested-with",
        ];
        for header in of_programs {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(header), HeaderValue::from_static("x"))]);
            assert!(allowed("127.0.0.1", host.as_ref(), &headers), "{header}");
        }
        for header in FORWARDING.into_iter().chain(PREFIXES).chain(OF_PROXIES).chain(known) {
            // Independent of its value, even if empty.
            let headers = HeaderMap::from_iter([(HeaderName::from_static(header), HeaderValue::from_static(""))]);
            assert!(!allowed("127.0.0.1", host.as_ref(), &headers), "{header}");
        }
    }
}
