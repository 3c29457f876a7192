//! The time at which a wallet may have its first payment.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A time: Unix seconds, or in text a date in UTC (`2024-01-31`) or an RFC 3339 time (`2024-01-31T12:00:00Z`). A text
/// of a time before 1970 counts as 1970, which is before the first block as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Since(pub u64);

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// Another form.
    #[error("expected a date in UTC (2024-01-31) or a time (2024-01-31T12:00:00Z)")]
    Form,
    /// The form of a date, and not one.
    #[error("there is no such date; expected a date in UTC (2024-01-31) or a time (2024-01-31T12:00:00Z)")]
    Date,
}

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let at = match date(text) {
            Some(date) => date?.midnight().assume_utc(),
            None => OffsetDateTime::parse(text, &Rfc3339).map_err(|_| SinceError::Form)?,
        };
        Ok(Self(u64::try_from(at.unix_timestamp()).unwrap_or(0)))
    }
}

/// `YYYY-MM-DD`; `None` for another form.
fn date(text: &str) -> Option<Result<Date, SinceError>> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| -> Option<u16> {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() {
        return None;
    }
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok());
    let date = month
        .zip(u8::try_from(day).ok())
        .and_then(|(month, day)| Date::from_calendar_date(i32::from(year), month, day).ok());
    Some(date.ok_or(SinceError::Date))
}

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = Since;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Unix seconds, a date in UTC (\"2024-01-31\") or a time (\"2024-01-31T12:00:00Z\")")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Since, E> {
                Ok(Since(seconds))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Since, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Value)
    }
}

impl ToSchema for Since {}

impl PartialSchema for Since {
    fn schema() -> RefOr<Schema> {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .description(Some("Unix seconds"));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A date in UTC (2024-01-31), or an RFC 3339 time"));
        let either = OneOfBuilder::new()
            .item(seconds)
            .item(text)
            .description(Some("A time; a text of one before 1970 counts as 1970"))
            .build();
        RefOr::T(Schema::OneOf(either))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_a_date_or_a_time() {
        // From `date -u -d TEXT +%s`.
        for (json, expected) in [
            ("1704067200", 1_704_067_200),
            ("0", 0),
            ("\"2024-01-01\"", 1_704_067_200),
            ("\"2024-02-29\"", 1_709_164_800),
            ("\"2024-01-01T00:00:00Z\"", 1_704_067_200),
            ("\"2024-01-01T02:00:00+02:00\"", 1_704_067_200),
            ("\"2024-01-01T00:00:00.5Z\"", 1_704_067_200),
            ("\"1969-12-31\"", 0),
        ] {
            let since: Since = serde_json::from_str(json).unwrap();
            assert_eq!(since, Since(expected), "{json}");
            assert_eq!(serde_json::to_value(since).unwrap(), expected);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_expected() {
        for text in ["2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-32"] {
            assert_eq!(text.parse::<Since>(), Err(SinceError::Date), "{text}");
        }
        for text in [
            "",
            "-1",
            "1704067200",
            "yesterday",
            "2024-1-1",
            "24-01-01",
            "2024-01-01T00:00",
            "01/02/2024",
            "2024-01-01-01",
        ] {
            assert_eq!(text.parse::<Since>(), Err(SinceError::Form), "{text}");
        }
        for json in ["-1", "1.5", "true", "[]", "{}", "\"1.1.2024\""] {
            let error = serde_json::from_str::<Since>(json).unwrap_err().to_string();
            assert!(error.contains("2024-01-31"), "{json}: {error}");
        }
    }
}
