//! The page itself: `GET /` for browsers, and `GET /dashboard`.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use bitcoin::hashes::{Hash, sha256};
use hyper::StatusCode;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use sdk_relay_http_common::{ApiError, has_tag};

use crate::assets::{VERSION, accepts_gzip, gzip};

/// Only files of this relay, and requests to it. `'self'` of `connect-src` includes the WebSocket at `/ws` of the same
/// host and port (CSP 3, section 6.7.2.8). Nothing may turn text into markup or code.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
/// What a program reads at `/`.
const NOTHING_HERE: &str = "there is nothing at / for a program: open it in a browser to see the dashboard, which is also at /dashboard; /openapi.json describes this API";

pub(crate) struct Page {
    text: String,
    pub(crate) gzip: Option<Vec<u8>>,
    etag: HeaderValue,
}

/// The page, with the addresses of its files.
pub(crate) static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let text = include_str!("../assets/page.html").replace("VERSION", &VERSION);
    let mut hash = sha256::Hash::hash(text.as_bytes()).to_string();
    hash.truncate(32);
    Page {
        gzip: gzip(text.as_bytes()),
        // Hex digits are valid in a header.
        etag: HeaderValue::from_str(&format!("W/\"{hash}\"")).unwrap_or(HeaderValue::from_static("W/\"0\"")),
        text,
    }
});

/// The page, for clients that name `text/html`, as browsers do. Others get a 404, as at any path that does not exist:
/// `/` is no resource of the API.
pub(crate) async fn root(headers: HeaderMap) -> Response {
    if accepts_html(&headers) {
        return page(&headers);
    }
    let mut response = ApiError::not_found(NOTHING_HERE).into_response();
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Returns the dashboard: a page that shows what the relay does.
///
/// `GET /` returns it too, to clients whose `Accept` has `text/html`. It needs no token; it asks its user for one when
/// the requests that it makes need one.
#[utoipa::path(
    get,
    path = "/dashboard",
    operation_id = "getDashboard",
    tag = "Documents",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(crate) async fn dashboard(headers: HeaderMap) -> Response {
    page(&headers)
}

fn page(headers: &HeaderMap) -> Response {
    let page = &*PAGE;
    let common = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // The page names the version of its files: it is always asked for again, and sent only if it has changed.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("Accept, Accept-Encoding")),
        (ETAG, page.etag.clone()),
    ];
    if page.etag.to_str().is_ok_and(|tag| has_tag(headers, tag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    match &page.gzip {
        Some(gzip) if accepts_gzip(headers) => {
            let html = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_ENCODING, "gzip")];
            (common, html, gzip.as_slice()).into_response()
        }
        _ => (common, Html(page.text.as_str())).into_response(),
    }
}

/// Whether `Accept` names `text/html`. `*/*` is what programs send.
fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .any(|entry| entry.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}
