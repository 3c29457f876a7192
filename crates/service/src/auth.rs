//! Checks the tokens of requests.

use hyper::header::{AUTHORIZATION, HeaderMap};
use sdk_relay_config::{Auth, Secret};

/// Whether a request with these headers may read: any request, without `auth.read_token`; the admin token also allows
/// reading.
pub fn may_read(auth: &Auth, headers: &HeaderMap) -> bool {
    auth.read_token.is_none()
        || has_bearer_token(headers, auth.read_token.as_ref())
        || has_bearer_token(headers, auth.admin_token.as_ref())
}

/// The tokens of which a handshake must have one; empty if reading is open.
pub fn reading_tokens(auth: &Auth) -> Vec<Secret> {
    let tokens = [auth.read_token.as_ref(), auth.admin_token.as_ref()];
    match auth.read_token {
        Some(_) => tokens.into_iter().flatten().cloned().collect(),
        None => Vec::new(),
    }
}

/// Whether the one `Authorization` header of a request is this bearer token.
pub fn has_bearer_token(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let only = lines.next().filter(|_| lines.next().is_none());
    let given = only.and_then(|v| v.to_str().ok()).and_then(|v| {
        let (scheme, token) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.zip(given).is_some_and(|(token, given)| token.is(given))
}

/// The bearer token in the one `Authorization` header of a request.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let token = Secret::new("0123456789abcdef".to_owned());
        let with = |value: &'static str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert!(has_bearer_token(&with("Bearer 0123456789abcdef"), Some(&token)));
        assert!(has_bearer_token(&with("bearer  0123456789abcdef"), Some(&token)));
        for wrong in [
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer",
            "",
        ] {
            assert!(!has_bearer_token(&with(wrong), Some(&token)), "{wrong}");
        }
        assert!(!has_bearer_token(&HeaderMap::new(), Some(&token)));
        assert!(!has_bearer_token(&with("Bearer 0123456789abcdef"), None));
        let mut twice = with("Bearer 0123456789abcdef");
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer 0123456789abcdef"));
        assert!(!has_bearer_token(&twice, Some(&token)), "two headers");
    }
}
