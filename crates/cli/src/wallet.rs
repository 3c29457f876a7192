//! `sdk_relay wallet`.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{anyhow, bail};
use sdk_relay_config::{DataDir, Loader, Overrides, WalletConfig};
use sdk_relay_console::say;
use sdk_relay_detect::own_wallet::{self, FILE_NAME};
use sdk_relay_files::create_private;

/// Prints the address of the wallet. Never creates a wallet.
pub(super) fn address(overrides: Overrides) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    let wallet = match &config.wallet {
        WalletConfig::Hot => own_wallet::open(&config.data_dir, &WalletConfig::HotIfPresent)?,
        other => own_wallet::open(&config.data_dir, other)?,
    };
    let Some(wallet) = wallet else {
        bail!(
            "there is no wallet: {} does not exist, or wallet.mode is off; start the relay with wallet.mode = \"hot\" to create one",
            config.data_dir.join(FILE_NAME).display()
        );
    };
    say(&wallet.address(config.network.silent_payment()).to_string());
    Ok(())
}

/// Writes the keys of the hot wallet to a new file.
pub(super) fn export(overrides: Overrides, to: &Path) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    let key_file = config.data_dir.join(FILE_NAME);
    let text = own_wallet::export(&key_file)?;
    let mut file = create_private(to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} exists: name a file that does not exist yet", to.display()),
        _ => anyhow!(error),
    })?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    say(&format!(
        "Exported the wallet to {}. Who has this file can see and spend its coins.",
        to.display()
    ));
    Ok(())
}

/// Makes the wallet of an exported file the hot wallet of the data directory.
pub(super) fn import(overrides: Overrides, from: &Path) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    if matches!(config.wallet, WalletConfig::WatchOnly(_)) {
        bail!(
            "the configuration has the keys of a watch-only wallet: remove wallet.scan_private_key and wallet.spend_public_key first"
        );
    }
    // A running relay would not notice the keys.
    let data_dir = DataDir::open(&config.data_dir)?;
    let wallet = own_wallet::import(data_dir.path(), from)?;
    let address = wallet.address(config.network.silent_payment());
    say(&format!("Imported the wallet {address}."));
    if matches!(config.wallet, WalletConfig::Off) {
        say("The relay does not use it while wallet.mode is off.");
    }
    Ok(())
}
