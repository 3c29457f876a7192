//! The files of the page, compressed once. Their address has the hash of all of them, so that a browser may keep them
//! for good, and never mixes the files of two versions.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash, sha256};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use sdk_relay_echo::short;
use sdk_relay_http_common::ApiError;
use sdk_relay_protocol::http::Problem;

use crate::bundle::{bundle, condensed};

/// The content of the address never changes: a year is the longest that caches keep anything.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Characters of the hash in the address: 64 bits.
const VERSION_LENGTH: usize = 16;

macro_rules! modules {
    ($($name:literal,)*) => {
        /// The modules of the page: name, and source.
        pub(crate) const MODULES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../assets/", $name))),)*];
    };
}

modules! {
    "advice.js",
    "api.js",
    "bech32m.js",
    "blocks.js",
    "chart.js",
    "charts.js",
    "clients.js",
    "config.js",
    "dev.js",
    "en.js",
    "events.js",
    "format.js",
    "fr.js",
    "header.js",
    "i18n.js",
    "keys.js",
    "log.js",
    "main.js",
    "mesh.js",
    "payments.js",
    "poll.js",
    "progress.js",
    "sentence.js",
    "settings.js",
    "socket.js",
    "stages.js",
    "store.js",
    "view.js",
    "watch.js",
    "way.js",
    "webhooks.js",
}

/// Files of others, as they were published.
pub(crate) const LIBRARIES: &[(&str, &str)] = &[
    ("htm.js", include_str!("../assets/vendor/htm.js")),
    ("preact.js", include_str!("../assets/vendor/preact.js")),
    ("uPlot.iife.min.js", include_str!("../assets/vendor/uPlot.iife.min.js")),
    ("uPlot.min.css", include_str!("../assets/vendor/uPlot.min.css")),
];

pub(crate) const STYLE: &str = include_str!("../assets/style.css");
const ICON: &str = include_str!("../assets/icon.svg");

/// A file as it is sent.
pub(crate) struct Asset {
    content_type: &'static str,
    plain: String,
    /// `None` if memory is short: the file is then sent as it is.
    pub(crate) gzip: Option<Vec<u8>>,
}

impl Asset {
    fn new(name: &str, plain: String) -> Self {
        Self {
            content_type: content_type(name),
            gzip: gzip(plain.as_bytes()),
            plain,
        }
    }
}

/// All files by their names. Made at the first request: it takes some 20 ms, and no tool of the build.
pub(crate) static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
    let own = [
        ("main.js", bundle(MODULES, "main.js")),
        ("style.css", condensed(STYLE)),
        ("icon.svg", ICON.to_owned()),
    ];
    let libraries = LIBRARIES.iter().map(|(name, text)| (*name, (*text).to_owned()));
    own.into_iter()
        .chain(libraries)
        .map(|(name, text)| (name, Asset::new(name, text)))
        .collect()
});

/// The part of the address that changes with any file.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (name, asset) in ASSETS.iter() {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(sha256::Hash::hash(asset.plain.as_bytes()).as_byte_array());
    }
    let mut hash = sha256::Hash::hash(&all).to_string();
    hash.truncate(VERSION_LENGTH);
    hash
});

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    }
}

pub(crate) fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

/// Returns a file of the dashboard.
///
/// `version` is the hash of all files of the dashboard: what has once been returned may be cached forever.
#[utoipa::path(
    get,
    path = "/dashboard/{version}/{file}",
    operation_id = "getDashboardFile",
    tag = "Documents",
    params(
        ("version" = String, Path, description = "Hash of all files of the dashboard", example = "0123456789abcdef"),
        ("file" = String, Path, description = "Name of the file", example = "main.js"),
    ),
    responses(
        (status = 200, description = "The file: a script, a style sheet or an image", body = String, content_type = "text/javascript"),
        (status = 404, description = "The dashboard of this relay has no such file, or another version", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn asset(named: Result<Path<(String, String)>, PathRejection>, headers: HeaderMap) -> Response {
    let (version, file) = match named {
        Ok(Path(named)) => named,
        Err(rejection) => return ApiError::from(rejection).into_response(),
    };
    if version != *VERSION {
        return ApiError::not_found("this relay has another version of the dashboard: reload the page").into_response();
    }
    let Some(asset) = ASSETS.get(file.as_str()) else {
        return ApiError::not_found(format!("the dashboard has no file {}", short(&file))).into_response();
    };
    let common = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (CACHE_CONTROL, FOR_GOOD),
        (VARY, HeaderValue::from_static("Accept-Encoding")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    match &asset.gzip {
        Some(gzip) if accepts_gzip(&headers) => (common, [(CONTENT_ENCODING, "gzip")], gzip.as_slice()).into_response(),
        _ => (common, asset.plain.as_str()).into_response(),
    }
}

/// Whether `Accept-Encoding` lists gzip, and not with quality 0 (RFC 9110, section 12.5.3).
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        (coding.eq_ignore_ascii_case("gzip") || coding == "*") && !refused
    })
}
