//! CORS: any page may read; pages of this relay itself and of `http.cors_origins` may also change things and read the
//! log. All others are refused even if the browser sends no preflight: otherwise a page could abuse the loopback rule
//! through its visitor.

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

use crate::watches;

/// Reads that require administration.
const ADMIN_READS: [&str; 2] = ["/logs", "/webhooks"];
/// How long a browser may cache the answer of a preflight.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// Browsers also send it with requests without `Origin`, such as those for images.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// An allowed request of a web page.
pub(super) struct Page {
    /// `Access-Control-Allow-Origin` of the answer.
    allowed: HeaderValue,
    /// Whether it is a preflight.
    preflight: bool,
    is_preflight: bool,
}

impl Page {
    /// Checks a request of a web page; `None` if it does not come from a page. `host` is the checked host of the
    /// request; any page may post to `any_page_posts`.
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
        let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
        let path = request.uri().path();
        let reads = if any_page_posts.contains(&path) || path.starts_with(watches::PATH) {
            true
        } else if ADMIN_READS.contains(&path) {
            false
        } else if preflight {
            method.is_some_and(|m| m == "GET" || m == "HEAD")
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
            is_preflight: preflight && method.is_some(),
        }))
    }

    /// The answer to a preflight; `None` for any other request.
    pub(super) fn preflight(&self) -> Option<Response> {
        self.is_preflight.then(|| StatusCode::NO_CONTENT.into_response())
    }

    /// Adds the headers that allow the page to read the answer.
    pub(super) fn allow(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.allowed);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if self.preflight {
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE"),
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

/// Whether this request comes from a page that is neither served by this relay nor in `http.cors_origins`.
pub(super) fn is_foreign_page(headers: &HeaderMap, config: &Config, host: Option<&RequestHost>) -> bool {
    page_origin(headers).is_some_and(|origin| !origin.is_some_and(|origin| is_known(origin, config, host)))
}

/// Whether this request comes from a page, and its origin if there is exactly one `Origin` header: with several, none
/// is trusted.
fn page_origin(headers: &HeaderMap) -> Option<Option<&HeaderValue>> {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => is_cross_origin(headers).then_some(None),
        (origin, None) => Some(origin),
        (Some(_), Some(_)) => Some(None),
    }
}

/// Whether the origin is in `http.cors_origins`, or is the relay's own: a page such as `/docs` under a checked host.
fn is_known(origin: &HeaderValue, config: &Config, host: Option<&RequestHost>) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    config.cors_origins.iter().any(|known| known == origin)
        || host.is_some_and(|host| host.is_origin(origin, config.tls.is_some()))
}

/// Whether the browser marks the request as cross-origin.
fn is_cross_origin(headers: &HeaderMap) -> bool {
    headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}
