//! The only place that encodes values as JSON (`clippy.toml` bans `serde_json`'s functions elsewhere). A failure is
//! an error that the caller must handle, never an empty text.

use serde::Serialize;

/// A value that cannot be encoded as JSON. Types with string keys and finite numbers always can, so this is a bug.
#[derive(Debug, thiserror::Error)]
#[error("a value of type {of} cannot be encoded as JSON: {source}")]
pub struct EncodeError {
    of: &'static str,
    source: serde_json::Error,
}

/// Encodes a value as JSON, as bytes.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    serde_json::to_vec(value).map_err(|source| EncodeError {
        of: std::any::type_name::<T>(),
        source,
    })
}

/// Encodes a value as JSON, as a string.
pub fn encode_text<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    serde_json::to_string(value).map_err(|source| EncodeError {
        of: std::any::type_name::<T>(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_cannot_be_encoded_is_an_error_that_names_its_type() {
        let map = BTreeMap::from([([1u8, 2], 3)]);
        let error = encode(&map).unwrap_err().to_string();
        assert!(error.contains("BTreeMap"), "{error}");
        assert_eq!(encode_text(&map).unwrap_err().to_string(), error);
        assert_eq!(encode(&[1, 2]).unwrap(), b"[1,2]");
    }
}
