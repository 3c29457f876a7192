//! `GET /docs`: a page that shows `/openapi.json` and `/asyncapi.json`. It loads nothing from other hosts; the content
//! security policy forbids it.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::{Hash, sha256};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/style.css");
/// What the page shows, then the requests that it can send.
const SCRIPT: &str = concat!(include_str!("docs/script.js"), include_str!("docs/try.js"));

/// The page with inlined style and script.
static WHOLE: LazyLock<String> = LazyLock::new(|| PAGE.replace("/* STYLE */", STYLE).replace("/* SCRIPT */", SCRIPT));

/// Allows only this style, this script, and the documents of this relay.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT)
    )
});

/// Shows both API documents in a browser.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "getDocs",
    tag = "Documents",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn page() -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(WHOLE.as_str())).into_response()
}

/// A source of the policy that allows exactly this text (CSP 3, section 8.3).
fn source(text: &str) -> String {
    let hash = sha256::Hash::hash(text.as_bytes());
    format!("sha256-{}", STANDARD.encode(hash.as_byte_array()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_self_contained() {
        assert!(WHOLE.contains(&format!("<style>{STYLE}</style>")));
        assert!(WHOLE.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(!STYLE.contains("@import") && !STYLE.contains("url("));
        for outside in ["http://", "https://", "src=", "innerHTML", "style=\"", " onclick="] {
            assert!(!WHOLE.contains(outside), "{outside}");
        }
    }
}
