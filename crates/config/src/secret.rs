//! Passwords and tokens.

use std::fmt;

use bitcoin::hashes::{Hash, sha256};
use zeroize::Zeroizing;

/// A password or a token. It is zeroised on drop, and `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// `None` for an empty text.
    pub fn some(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text.to_owned()))
    }

    /// The secret. Not for logs, errors or files.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the same secret. Compares hashes, so that the duration reveals nothing about the position of a
    /// difference.
    pub fn is(&self, other: &str) -> bool {
        sha256::Hash::hash(self.0.as_bytes()) == sha256::Hash::hash(other.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_and_never_shown() {
        let secret = Secret::new("correct horse".to_owned());
        assert!(secret.is("correct horse"));
        assert!(!secret.is("correct horse ") && !secret.is(""));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(Secret::some("").is_none());
    }
}
