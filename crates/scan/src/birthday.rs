//! The first block of a scan, as a height or as a time.

use sdk_relay_client::protocol::{Since, SinceError};

/// Value of `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birthday {
    /// A block height.
    Height(u32),
    /// A time.
    Time(Since),
}

const EXPECTED: &str = "expected a block height (800000), a date in UTC (2024-01-31), or a time (2024-01-31T12:00:00Z, or in Unix seconds)";
/// Numbers above this are Unix times, as in `nLockTime` (BIP65) and in the Electrum protocol.
const HIGHEST_HEIGHT: u64 = 500_000_000;

/// Parses the value of the flag. The error is the text that the command line shows.
pub(crate) fn birthday(text: &str) -> Result<Birthday, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(time) if time > HIGHEST_HEIGHT => Ok(Birthday::Time(Since(time))),
            Ok(height) => u32::try_from(height)
                .map(Birthday::Height)
                .map_err(|_| EXPECTED.to_owned()),
            Err(_) => Err(EXPECTED.to_owned()),
        };
    }
    text.parse().map(Birthday::Time).map_err(|error| match error {
        SinceError::Form => EXPECTED.to_owned(),
        SinceError::Date => format!("there is no such date; {EXPECTED}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_a_date_or_a_time() {
        for (text, expected) in [
            ("0", Birthday::Height(0)),
            ("800000", Birthday::Height(800_000)),
            ("500000000", Birthday::Height(500_000_000)),
            ("500000001", Birthday::Time(Since(500_000_001))),
            ("1704067200", Birthday::Time(Since(1_704_067_200))),
            ("2024-01-01", Birthday::Time(Since(1_704_067_200))),
            ("2024-01-01T02:00:00+02:00", Birthday::Time(Since(1_704_067_200))),
        ] {
            assert_eq!(birthday(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_expected() {
        let error = birthday("2024-02-30").unwrap_err();
        assert!(
            error.starts_with("there is no such date; expected a block height"),
            "{error}"
        );
        for text in ["", "-1", "99999999999999999999", "yesterday", "2024-1-1"] {
            assert_eq!(birthday(text), Err(EXPECTED.to_owned()), "{text}");
        }
    }
}
