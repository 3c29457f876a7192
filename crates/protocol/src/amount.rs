//! Amounts on the wire: BTC as a decimal string, with a counterpart in satoshis as a number.

/// Satoshis in one bitcoin.
const SATS_PER_BTC: u64 = 100_000_000;
/// Decimal places of a bitcoin.
const DECIMALS: usize = 8;

/// Satoshis as BTC, without trailing zeros: `100000` is `"0.001"`.
pub fn btc(sats: u64) -> String {
    let (whole, part) = (sats / SATS_PER_BTC, sats % SATS_PER_BTC);
    if part == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{part:08}");
    text.trim_end_matches('0').to_owned()
}

/// Why a string is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something other than digits and one point.
    #[error("expected a decimal number in BTC, such as \"0.001\"")]
    NotANumber,
    /// Finer than a satoshi.
    #[error("expected at most 8 decimal places")]
    TooPrecise,
    /// More than a u64 of satoshis.
    #[error("the amount exceeds the range of satoshis")]
    TooLarge,
}

/// Parses a decimal BTC string into satoshis. Signs, exponents and spaces are rejected.
pub fn parse_btc(text: &str) -> Result<u64, AmountError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return Err(AmountError::NotANumber);
    }
    if part.len() > DECIMALS {
        return Err(AmountError::TooPrecise);
    }
    let whole: u64 = whole.parse().map_err(|_| AmountError::TooLarge)?;
    let part: u64 = format!("{part:0<8}").parse().map_err(|_| AmountError::NotANumber)?;
    whole
        .checked_mul(SATS_PER_BTC)
        .and_then(|w| w.checked_add(part))
        .ok_or(AmountError::TooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_the_reference_writes_them() {
        assert_eq!(btc(100_000), "0.001");
        assert_eq!(btc(1_000), "0.00001");
        assert_eq!(btc(150_000_000), "1.5");
        assert_eq!(btc(200_000_000), "2");
        assert_eq!(btc(0), "0");
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for bad in [
            "", ".", "1.", ".1", "-1", "+1", "1e3", " 1", "1,0", "0x1", "1.0.0", "NaN",
        ] {
            assert_eq!(parse_btc(bad), Err(AmountError::NotANumber), "{bad:?}");
        }
        assert_eq!(parse_btc("0.000000001"), Err(AmountError::TooPrecise));
        assert_eq!(parse_btc("184467440738"), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn round_trip(sats: u64) {
            prop_assert_eq!(parse_btc(&btc(sats)), Ok(sats));
        }
    }
}
