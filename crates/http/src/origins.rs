//! CORS: any page may read; pages of this relay itself and of `http.cors_origins` may also change things and read the
//! log. All others are refused even where the browser would not ask, or a page could use the loopback rule against its
//! visitor.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};
use sdk_relay_config::Config;
use sdk_relay_http_common::ApiError;
use sdk_relay_service::RequestHost;

/// What is read by those alone who may change things.
const ADMIN_READS: [&str; 1] = ["/logs"];
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// Sent by browsers with requests that they do not mark with `Origin` too, such as those for images.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request of a web page that may be answered.
pub(super) struct Page {
    /// `Access-Control-Allow-Origin` of the answer.
    allowed: HeaderValue,
    /// It asks only whether it may ask.
    preflight: bool,
    asks: bool,
}

impl Page {
    /// What the page that a request comes from may: `None` for a request of no page. `host` is that of the request,
    /// where it is checked; any page may post to `any_page_posts`.
    pub(super) fn of(
        request: &Request,
        config: &Config,
        host: Option<&RequestHost>,
        any_page_posts: &[&str],
    ) -> Result<Option<Self>, ApiError> {
        let Some(origin) = page_origin(request.headers()) else {
            return Ok(None);
        };
        let known = origin.is_some_and(|origin| is_known(origin, config, host));
        let preflight = request.method() == Method::OPTIONS;
        let asked = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
        let path = request.uri().path();
        let reads = if any_page_posts.contains(&path) {
            true
        } else if ADMIN_READS.contains(&path) {
            false
        } else if preflight {
            asked.is_some_and(|m| m == "GET" || m == "HEAD")
        } else {
            request.method().is_safe()
        };
        if !reads && !known {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "web pages of this origin may not administer the relay: add the origin to http.cors_origins",
            ));
        }
        let Some(origin) = origin else { return Ok(None) };
        Ok(Some(Self {
            allowed: if known {
                origin.clone()
            } else {
                HeaderValue::from_static("*")
            },
            preflight,
            asks: preflight && asked.is_some(),
        }))
    }

    /// The answer to a request that only asks whether it may; `None` for one that wants more.
    pub(super) fn preflight(&self) -> Option<Response> {
        self.asks.then(|| StatusCode::NO_CONTENT.into_response())
    }

    /// Lets the page read the answer.
    pub(super) fn allow(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if self.preflight {
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
}

/// Whether a page makes this request that is neither the relay's own nor of `http.cors_origins`.
pub(super) fn is_foreign_page(headers: &HeaderMap, config: &Config, host: Option<&RequestHost>) -> bool {
    page_origin(headers).is_some_and(|origin| !origin.is_some_and(|origin| is_known(origin, config, host)))
}

/// Whether a page makes this request, and its origin where it is named as browsers do, once: more are a reason to trust
/// none.
fn page_origin(headers: &HeaderMap) -> Option<Option<&HeaderValue>> {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => is_cross_origin(headers).then_some(None),
        (origin, None) => Some(origin),
        (Some(_), Some(_)) => Some(None),
    }
}

/// An origin of `http.cors_origins`, or the relay's own: a page such as `/docs` that it served under a host that is
/// checked.
fn is_known(origin: &HeaderValue, config: &Config, host: Option<&RequestHost>) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    config.cors_origins.iter().any(|known| known == origin)
        || host.is_some_and(|host| host.is_origin(origin, config.tls.is_some()))
}

/// Whether a browser says that a page of another origin makes it send this.
fn is_cross_origin(headers: &HeaderMap) -> bool {
    headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}
