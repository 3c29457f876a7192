//! The origin of a key (BIP380, "Key Expressions").

use std::str::FromStr;

use bitcoin::bip32::{DerivationPath, Fingerprint};

use crate::error::DescriptorError;

/// Checks and removes `[FINGERPRINT/PATH]` before a key.
pub(crate) fn without_origin(key: &str) -> Result<&str, DescriptorError> {
    let Some(rest) = key.strip_prefix('[') else {
        return Ok(key);
    };
    let (origin, key) = rest.split_once(']').ok_or(DescriptorError::Origin)?;
    let (fingerprint, path) = origin.split_once('/').unwrap_or((origin, ""));
    let is_origin = Fingerprint::from_str(fingerprint).is_ok() && DerivationPath::from_str(path).is_ok();
    if is_origin {
        Ok(key)
    } else {
        Err(DescriptorError::Origin)
    }
}
