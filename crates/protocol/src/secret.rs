//! Secrets in messages.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret in hex. It is wiped when dropped, and `Debug` does not print it.
#[derive(Clone, Deserialize, Serialize, PartialEq, Eq, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(transparent)]
pub struct SecretHex(String);

impl SecretHex {
    /// Wraps a hex string.
    pub fn new(hex: String) -> Self {
        Self(hex)
    }

    /// The secret. Must not be logged, put into errors or written to disk.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHex(…)")
    }
}
