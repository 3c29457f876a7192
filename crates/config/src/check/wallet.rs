//! `[wallet]`: the relay's own silent-payment wallet.

use crate::config::{WalletConfig, WalletKeys, WalletMode};
use crate::error::ConfigError;
use crate::network::Network;
use crate::settings as key;
use crate::values::Values;

impl WalletConfig {
    pub(super) fn check(values: &Values, network: Network) -> Result<Self, ConfigError> {
        let keys = WalletKeys::check(values)?;
        match (values.get(&key::WALLET_MODE)?, keys) {
            (WalletMode::Auto | WalletMode::WatchOnly, Some(keys)) => Ok(Self::WatchOnly(keys)),
            (WalletMode::WatchOnly, None) => {
                let why = "expected auto, off or hot, because wallet.scan_private_key and wallet.spend_public_key are not set";
                Err(values.wrong(&key::WALLET_MODE, why))
            }
            (WalletMode::Off, None) => Ok(Self::Off),
            (WalletMode::Hot, None) => Ok(Self::Hot),
            (WalletMode::Off | WalletMode::Hot, Some(_)) => {
                let why = "expected watch-only, because wallet.scan_private_key and wallet.spend_public_key are set";
                Err(values.wrong(&key::WALLET_MODE, why))
            }
            // Coins that are paid to a hot wallet are lost with its file: on mainnet the operator decides.
            (WalletMode::Auto, None) if network == Network::Mainnet => Ok(Self::HotIfPresent),
            (WalletMode::Auto, None) => Ok(Self::Hot),
        }
    }
}

impl WalletKeys {
    /// `None` if neither key is set.
    fn check(values: &Values) -> Result<Option<Self>, ConfigError> {
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
