//! Normalises the paths of BlindBit clients: they append the route to the configured address, with a duplicate slash if
//! the address ends in one.

use axum::extract::Request;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;

/// Prefix of all BlindBit routes.
const PREFIX: &str = "/blindbit/";

/// Whether the request is for one of BlindBit's routes. Such a path then has neither doubled slashes nor one at its
/// end: `//blindbit/v1//info/` is the same route as `/blindbit/v1/info`.
pub(crate) fn is_blindbit(request: &mut Request) -> bool {
    let path = request.uri().path();
    if path.starts_with(PREFIX) && !path.contains("//") && !path.ends_with('/') {
        return true;
    }
    let plain = plain(path);
    if !plain.starts_with(PREFIX) {
        return false;
    }
    if let Some(uri) = with_path(request.uri(), &plain) {
        *request.uri_mut() = uri;
    }
    true
}

fn plain(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(String::with_capacity(path.len()), |path, segment| path + "/" + segment)
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(format!("{path}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redundant_slashes_are_ignored() {
        for (given, is_it, path) in [
            ("/blindbit/v1/info", true, "/blindbit/v1/info"),
            ("/blindbit/v1/info/", true, "/blindbit/v1/info"),
            (
                "/blindbit/v1//tweaks/5?dustLimit=1//2/",
                true,
                "/blindbit/v1/tweaks/5?dustLimit=1//2/",
            ),
            ("//blindbit//v2///info//", true, "/blindbit/v2/info"),
            ("/blindbit/", false, "/blindbit/"),
            ("/health/", false, "/health/"),
            ("//health", false, "//health"),
            ("/config//blindbit/v1", false, "/config//blindbit/v1"),
        ] {
            let mut request = Request::get(given).body(axum::body::Body::empty()).unwrap();
            assert_eq!(is_blindbit(&mut request), is_it, "{given}");
            let now = request.uri().path_and_query().unwrap();
            assert_eq!(now.as_str(), path, "{given}");
        }
    }
}
