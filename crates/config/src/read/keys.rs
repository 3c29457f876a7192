//! Keys of the relay's own wallet.

use std::str::FromStr;

use bitcoin::secp256k1::{PublicKey, SecretKey};

use crate::value::{Value, Wrong};

/// Digits of a private key, 32 bytes.
const PRIVATE_DIGITS: usize = 64;
/// Digits of a public key, 33 bytes.
const PUBLIC_DIGITS: usize = 66;
const UNCOMPRESSED_DIGITS: usize = 130;

/// `None` for an empty text. The error does not contain the key.
pub(crate) fn scan_key(value: &Value) -> Result<Option<SecretKey>, Wrong> {
    let text = value.as_text();
    if text.is_empty() {
        return Ok(None);
    }
    digits(text, PRIVATE_DIGITS, "a private key of 32 bytes")?;
    let key = SecretKey::from_str(text).map_err(|_| {
        Wrong::because("expected a private key: this number is zero, or not less than the order of the curve secp256k1")
    })?;
    Ok(Some(key))
}

/// `None` for an empty text.
pub(crate) fn spend_key(value: &Value) -> Result<Option<PublicKey>, Wrong> {
    let text = value.as_text();
    if text.is_empty() {
        return Ok(None);
    }
    // A key of 65 bytes is the same key, uncompressed.
    if text.len() != UNCOMPRESSED_DIGITS {
        digits(text, PUBLIC_DIGITS, "a public key of 33 bytes")?;
        if !text.starts_with("02") && !text.starts_with("03") {
            return Err(Wrong::because(
                "expected a public key of 33 bytes, which begins with 02 or 03",
            ));
        }
    }
    let key = PublicKey::from_str(text).map_err(|_| {
        Wrong::because(
            "expected a public key: this is not a point on the curve secp256k1; compare each digit with the wallet",
        )
    })?;
    Ok(Some(key))
}

fn digits(text: &str, count: usize, key: &str) -> Result<(), Wrong> {
    if let Some(place) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(Wrong::because(format!(
            "expected {key} in hex: character {} is not a hex digit",
            place + 1
        )));
    }
    if text.len() != count {
        return Err(Wrong::because(format!(
            "expected {key}, {count} hex digits, not {}",
            text.len()
        )));
    }
    Ok(())
}
