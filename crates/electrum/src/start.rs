//! The third parameter of `blockchain.silentpayments.subscribe`: where the scan begins.

use serde_json::Value;

/// Numbers above this are Unix times, as in `nLockTime`.
const HEIGHTS_UP_TO: u64 = 500_000_000;

/// Where a scan begins, and where the history ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At this height; `to`: the last block of the history.
    Height { from: u32, to: Option<u32> },
    /// At the first block since this Unix second.
    Time(u64),
}

/// What is accepted.
pub(crate) const EXPECTED: &str = "expected a height, a Unix time above 500000000, or a range of heights \"FROM-TO\"";

impl Start {
    /// `None` if the value is none of the forms. Absent: height 0.
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Height { from: 0, to: None }),
            Value::Number(number) => Self::of_number(number.as_u64()?),
            Value::String(text) => match text.split_once('-') {
                Some((from, to)) => {
                    let (from, to) = (height(digits(from)?)?, height(digits(to)?)?);
                    (from <= to).then_some(Self::Height { from, to: Some(to) })
                }
                None => Self::of_number(digits(text)?),
            },
            _ => None,
        }
    }

    fn of_number(number: u64) -> Option<Self> {
        match height(number) {
            Some(from) => Some(Self::Height { from, to: None }),
            None => Some(Self::Time(number)),
        }
    }
}

fn height(number: u64) -> Option<u32> {
    (number <= HEIGHTS_UP_TO).then(|| u32::try_from(number).ok()).flatten()
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_four_forms() {
        let from = |from, to| Some(Start::Height { from, to });
        for (value, expected) in [
            (Value::Null, from(0, None)),
            (json!(882_000), from(882_000, None)),
            (json!("882000"), from(882_000, None)),
            (json!(500_000_000), from(500_000_000, None)),
            (json!(500_000_001), Some(Start::Time(500_000_001))),
            (json!(1_700_000_000), Some(Start::Time(1_700_000_000))),
            (json!("100-200"), from(100, Some(200))),
            (json!("100-100"), from(100, Some(100))),
            (json!("200-100"), None),
            (json!("1-1700000000"), None),
            (json!("-1"), None),
            (json!("1-"), None),
            (json!("+1"), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(Start::parse(&value), expected, "{value}");
        }
    }
}
