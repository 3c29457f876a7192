//! CORS: any page may read; pages of `http.cors_origins` may also change things. All others are refused even where the browser would not ask,
//! or a page could use the loopback rule against its visitor.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};

use super::problem::ApiError;

/// What any page may post: it changes nothing of the relay.
const ANYBODY_POSTS: [&str; 1] = ["/tx"];
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// A request of a web page that may be answered.
pub(super) struct Page {
    /// Of the answer.
    allowed: HeaderValue,
    /// It asks only whether it may ask.
    preflight: bool,
    asks: bool,
}

impl Page {
    /// What the request's origin may: `None` for a request of no page.
    pub(super) fn of(request: &Request, trusted: &[String]) -> Result<Option<Self>, ApiError> {
        let Some(origin) = request.headers().get(ORIGIN) else {
            return Ok(None);
        };
        let known = trusted.iter().any(|o| origin == o.as_str());
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
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "pages of this origin may not change things here: add it to http.cors_origins",
            ));
        }
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
