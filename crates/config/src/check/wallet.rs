//! `[wallet]`: the relay's own silent-payment keys.

use crate::config::WalletKeys;
use crate::error::ConfigError;
use crate::settings as key;
use crate::values::Values;

impl WalletKeys {
    /// `None` if neither key is set.
    pub(super) fn check(values: &Values) -> Result<Option<Self>, ConfigError> {
        match (values.get(&key::SCAN_KEY)?, values.get(&key::SPEND_KEY)?) {
            (None, None) => Ok(None),
            (Some(scan), Some(spend)) => Ok(Some(Self { scan, spend })),
            (None, Some(_)) => {
                let why = "expected a private key of 32 bytes in hex, because wallet.spend_public_key is set";
                Err(values.wrong(&key::SCAN_KEY, why))
            }
            (Some(_), None) => {
                let why = "expected a public key of 33 bytes in hex, because wallet.scan_private_key is set";
                Err(values.wrong(&key::SPEND_KEY, why))
            }
        }
    }
}
