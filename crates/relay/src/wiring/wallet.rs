//! The scan engine, and the relay's own silent-payment wallet.

use std::path::Path;
use std::sync::Arc;

use sdk_relay_bip352::{Engine, EngineError, Prepared, Receiver, Scanner};
use sdk_relay_config::{Config, Network, WalletConfig};
use sdk_relay_detect::own_wallet;

/// What scans, and the wallet that the relay scans for itself.
pub(crate) struct Wallet {
    pub(crate) scanner: Scanner,
    pub(crate) own: Option<Arc<Prepared>>,
}

impl Wallet {
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.own.as_deref().map(|own| &**own)
    }
}

/// Opens the relay's wallet in the data directory and prepares it for this engine.
pub(crate) fn open_wallet(engine: Arc<dyn Engine>, data_dir: &Path, config: &Config) -> anyhow::Result<Wallet> {
    let scanner = Scanner::new(engine, log_scanner);
    let own = own_wallet::open(data_dir, &config.wallet)?;
    if own.is_some() && config.network == Network::Mainnet && !matches!(config.wallet, WalletConfig::WatchOnly(_)) {
        tracing::info!(
            "the wallet of this relay is hot: whoever can read wallet.key in the data directory can spend its coins"
        );
    }
    Ok(Wallet {
        own: own.map(|own| Arc::new(scanner.prepare(own))),
        scanner,
    })
}

fn log_scanner(engine: &'static str, error: Option<&EngineError>) {
    match error {
        Some(error) => {
            tracing::error!(engine, %error, "the scan engine failed; scanning with libsecp256k1 instead, which is slower");
        }
        None => tracing::info!(engine, "the scan engine has recovered"),
    }
}
