//! Checks of single values, and the error that names where a wrong one stands.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::{ConfigError, is_secret};
use crate::secret::Secret;

/// Longest interval: a day.
pub(super) const MAX_INTERVAL: u64 = 86_400;
/// Shortest token: shorter ones are guessed.
const MIN_TOKEN: usize = 16;

/// Checks values. `origin` gives where a key's value stands, for errors.
pub(super) struct Checker<'a> {
    pub(super) origin: &'a dyn Fn(&str) -> String,
}

impl Checker<'_> {
    pub(super) fn wrong(&self, key: &str, found: &str, expected: &str) -> ConfigError {
        let found = if is_secret(key) {
            "…".to_owned()
        } else {
            format!("{found:?}")
        };
        ConfigError::Value {
            origin: (self.origin)(key),
            key: key.to_owned(),
            found,
            expected: expected.to_owned(),
        }
    }

    pub(super) fn address(&self, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        text.parse().map_err(|_| {
            self.wrong(
                key,
                text,
                "expected an address to listen on, such as 0.0.0.0:8090 or [::]:8090",
            )
        })
    }

    pub(super) fn within(&self, key: &str, value: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let expected = if most == u64::MAX {
            format!("expected {least} or more")
        } else {
            format!("expected {least} to {most}")
        };
        Err(self.wrong(key, &value.to_string(), &expected))
    }

    pub(super) fn seconds(&self, key: &str, value: u64) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.within(key, value, 1, MAX_INTERVAL)?))
    }

    pub(super) fn count(&self, key: &str, value: u64, least: u64) -> Result<usize, ConfigError> {
        let value = self.within(key, value, least, 1_000_000)?;
        usize::try_from(value).map_err(|_| self.wrong(key, &value.to_string(), "too large for this machine"))
    }

    /// In bytes; no less than the largest message takes.
    pub(super) fn megabytes(&self, key: &str, value: u64) -> Result<usize, ConfigError> {
        let bytes = self.within(key, value, 2, 1 << 20)? * 1_000_000;
        usize::try_from(bytes).map_err(|_| self.wrong(key, &value.to_string(), "too large for this machine"))
    }

    pub(super) fn per_second(&self, key: &str, value: u64) -> Result<NonZeroU32, ConfigError> {
        let value = self.within(key, value, 1, 1_000_000)?;
        u32::try_from(value)
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or_else(|| self.wrong(key, &value.to_string(), "too large"))
    }

    pub(super) fn token(&self, key: &str, text: &str) -> Result<Option<Secret>, ConfigError> {
        let fits = text.is_empty() || (text.len() >= MIN_TOKEN && text.bytes().all(|b| b.is_ascii_graphic()));
        if !fits {
            let why = format!("expected {MIN_TOKEN} or more printable ASCII characters without spaces, or nothing");
            return Err(self.wrong(key, text, &why));
        }
        Ok(Secret::some(text))
    }
}
