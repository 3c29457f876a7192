//! The first block of a scan, as a height or as a time.

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

/// Value of `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birthday {
    /// A block height.
    Height(u32),
    /// Unix seconds.
    Time(u64),
}

const EXPECTED: &str = "expected a block height (800000), a date in UTC (2024-01-31), or a time (2024-01-31T12:00:00Z)";

/// Parses the value of the flag. The error is the text that the command line shows.
pub(crate) fn birthday(text: &str) -> Result<Birthday, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let height = text.parse().map_err(|_| EXPECTED.to_owned())?;
        return Ok(Birthday::Height(height));
    }
    let at = match date(text) {
        Some(date) => date?.midnight().assume_utc(),
        None => OffsetDateTime::parse(text, &Rfc3339).map_err(|_| EXPECTED.to_owned())?,
    };
    // A time before 1970 is before the first block as well.
    Ok(Birthday::Time(u64::try_from(at.unix_timestamp()).unwrap_or(0)))
}

/// `YYYY-MM-DD`; `None` for another form.
fn date(text: &str) -> Option<Result<Date, String>> {
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
    Some(date.ok_or_else(|| format!("there is no such date; {EXPECTED}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_a_date_or_a_time() {
        // From `date -u -d TEXT +%s`.
        for (text, expected) in [
            ("0", Birthday::Height(0)),
            ("800000", Birthday::Height(800_000)),
            ("2024-01-01", Birthday::Time(1_704_067_200)),
            ("2024-02-29", Birthday::Time(1_709_164_800)),
            ("2024-01-01T00:00:00Z", Birthday::Time(1_704_067_200)),
            ("2024-01-01T02:00:00+02:00", Birthday::Time(1_704_067_200)),
            ("2024-01-01T00:00:00.5Z", Birthday::Time(1_704_067_200)),
            ("1969-12-31", Birthday::Time(0)),
        ] {
            assert_eq!(birthday(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_expected() {
        for text in ["2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-32"] {
            let error = birthday(text).unwrap_err();
            assert!(
                error.starts_with("there is no such date; expected a block height"),
                "{error}"
            );
        }
        for text in [
            "",
            "-1",
            "4294967296",
            "yesterday",
            "2024-1-1",
            "24-01-01",
            "2024-01-01T00:00",
            "01/02/2024",
            "2024-01-01-01",
        ] {
            assert_eq!(birthday(text), Err(EXPECTED.to_owned()), "{text}");
        }
    }
}
