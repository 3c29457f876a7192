//! `[wallet]`: the relay's own silent-payment keys.

use std::str::FromStr;

use bitcoin::secp256k1::{PublicKey, SecretKey};

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;

/// Keys of the relay's own wallet, from the configuration.
#[derive(Clone, Debug)]
pub struct WalletKeys {
    /// Finds payments.
    pub scan: SecretKey,
    /// Whose they are.
    pub spend: PublicKey,
}

impl WalletKeys {
    /// `None` where neither key is set.
    pub(super) fn check(at: &Checker<'_>, file: &File) -> Result<Option<Self>, ConfigError> {
        let wallet = &file.wallet;
        if wallet.scan_private_key.is_empty() && wallet.spend_public_key.is_empty() {
            return Ok(None);
        }
        let scan = SecretKey::from_str(&wallet.scan_private_key).map_err(|_| {
            at.wrong(
                "wallet.scan_private_key",
                "",
                "expected a private key of 32 bytes in hex, together with wallet.spend_public_key",
            )
        })?;
        let spend = PublicKey::from_str(&wallet.spend_public_key).map_err(|_| {
            let why = "expected a public key of 33 bytes in hex, together with wallet.scan_private_key";
            at.wrong("wallet.spend_public_key", &wallet.spend_public_key, why)
        })?;
        Ok(Some(Self { scan, spend }))
    }
}
