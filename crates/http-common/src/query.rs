//! Common query parameters. A parse error is a 400 by then; a parsed value can still be unacceptable.

use std::str::FromStr;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::problem::ApiError;

/// Default number of listed entries.
const DEFAULT_LIMIT: u64 = 100;
/// Largest number of listed entries.
const MOST: u64 = 1000;

/// Parses a whole number that consists of digits only. Rust also accepts `+5`, but in a query string `+` is an encoded
/// space.
pub fn digits<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// The same for an optional query parameter.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let read = |text: String| digits(&text).ok_or_else(|| Error::custom("expected a whole number (digits only)"));
    text.map(read).transpose()
}

/// The value of `limit`.
pub fn limit(given: Option<u64>) -> Result<u64, ApiError> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::field("limit", format!("expected 1 to {MOST}")))
    }
}

/// Parses a variant of an enum by its JSON name.
pub fn parse_enum<T: DeserializeOwned>(field: &str, given: Option<&str>, words: &str) -> Result<Option<T>, ApiError> {
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
    fn a_number_consists_of_digits_only() {
        assert_eq!((digits("0"), digits::<u32>("4294967295")), (Some(0), Some(u32::MAX)));
        for wrong in ["", "+5", "-5", " 5", "5 ", "0x5", "5.0", "٥", "4294967296"] {
            assert_eq!(digits::<u32>(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn limits_and_words() {
        let good = [(None, 100), (Some(1), 1), (Some(1000), 1000)];
        assert!(good.into_iter().all(|(given, taken)| limit(given).unwrap() == taken));
        for wrong in [0, 1001, u64::MAX] {
            assert_eq!(limit(Some(wrong)).unwrap_err().into_response().status(), 422);
        }
        let level = |given| parse_enum::<LogLevel>("level", given, "trace, debug, info, warn, error");
        assert_eq!(level(None).unwrap(), None);
        assert_eq!(level(Some("warn")).unwrap(), Some(LogLevel::Warn));
        for wrong in ["", "WARN", "warning", "1"] {
            assert_eq!(level(Some(wrong)).unwrap_err().into_response().status(), 422);
        }
    }
}
