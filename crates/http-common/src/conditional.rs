//! Conditional requests (RFC 9110, section 13).

use hyper::header::{HeaderMap, IF_NONE_MATCH};

/// Whether `If-None-Match` has this tag (section 13.1.2: compared weakly). The client then has the content.
pub fn has_tag(request_headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |t: &str| t.trim().trim_start_matches("W/").to_owned();
    let mut given = request_headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok());
    given.any(|list| list.trim() == "*" || list.split(',').any(|t| opaque(t) == opaque(tag)))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let request_headers =
            |text: &'static str| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(text))]);
        for same in ["W/\"ab\"", "\"ab\"", "*", "\"x\", W/\"ab\""] {
            assert!(has_tag(&request_headers(same), "W/\"ab\""), "{same}");
        }
        for other in ["", "ab", "W/\"a\"", "\"abc\""] {
            assert!(!has_tag(&request_headers(other), "W/\"ab\""), "{other}");
        }
        assert!(!has_tag(&HeaderMap::new(), "W/\"ab\""));
    }
}
