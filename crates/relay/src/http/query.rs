//! Values of query strings that several resources have. What does not parse is a 400 by then; what parses can still be unacceptable.

use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// Entries listed when the client does not say how many.
const DEFAULT_LIMIT: u64 = 100;
/// Entries listed at most.
const MOST: u64 = 1000;

/// The value of `limit`.
pub(super) fn limit(given: Option<u64>) -> Result<u64, ApiError> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::field("limit", format!("expected 1 to {MOST}")))
    }
}

/// One of the words of an enum, as JSON writes it.
pub(super) fn word<T: DeserializeOwned>(field: &str, given: Option<&str>, words: &str) -> Result<Option<T>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    serde_json::from_value(given.into())
        .map(Some)
        .map_err(|_| ApiError::field(field, format!("expected one of {words}")))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use sdk_relay_protocol::http::LogLevel;

    use super::*;

    #[test]
    fn limits_and_words() {
        let good = [(None, 100), (Some(1), 1), (Some(1000), 1000)];
        assert!(good.into_iter().all(|(given, taken)| limit(given).unwrap() == taken));
        for wrong in [0, 1001, u64::MAX] {
            assert_eq!(limit(Some(wrong)).unwrap_err().into_response().status(), 422);
        }
        let level = |given| word::<LogLevel>("level", given, "trace, debug, info, warn, error");
        assert_eq!(level(None).unwrap(), None);
        assert_eq!(level(Some("warn")).unwrap(), Some(LogLevel::Warn));
        for wrong in ["", "WARN", "warning", "1"] {
            assert_eq!(level(Some(wrong)).unwrap_err().into_response().status(), 422);
        }
    }
}
