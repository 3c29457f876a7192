//! Numbers on the command line, with errors in words.

/// A block height.
pub(crate) fn height(text: &str) -> Result<u32, String> {
    whole(text).ok_or_else(|| "expected a block height, a whole number such as 800000".to_owned())
}

/// A time in seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    whole(text).ok_or_else(|| "expected a whole number of seconds".to_owned())
}

/// A label of the wallet.
pub(crate) fn label(text: &str) -> Result<u32, String> {
    whole(text).ok_or_else(|| format!("expected whole numbers from 0 to {}, such as 1,2,3", u32::MAX))
}

/// Digits only: Rust accepts a sign too.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_what_is_expected_in_words() {
        assert_eq!(
            (height("0"), seconds("60"), label("4294967295")),
            (Ok(0), Ok(60), Ok(u32::MAX))
        );
        for wrong in ["", "-1", "+1", "1.5", "x", "99999999999999999999"] {
            for error in [
                height(wrong).unwrap_err(),
                seconds(wrong).unwrap_err(),
                label(wrong).unwrap_err(),
            ] {
                assert!(
                    error.starts_with("expected ") && error.contains("whole number"),
                    "{error}"
                );
            }
        }
    }
}
