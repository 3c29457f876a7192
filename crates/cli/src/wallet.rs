//! `sdk_relay wallet`.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{anyhow, bail};
use sdk_relay_bip352::Receiver;
use sdk_relay_config::{Config, DataDir, Loader, Network, Overrides, WalletConfig};
use sdk_relay_console::say;
use sdk_relay_descriptor::describe;
use sdk_relay_detect::own_wallet::{self, FILE_NAME};
use sdk_relay_files::{create_private, is_absent};

/// Prints the address of the wallet. Never creates a wallet.
pub(super) fn address(overrides: Overrides) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    say(&existing(&config)?.address(config.network.silent_payment()).to_string());
    Ok(())
}

/// Prints the descriptor of the wallet. Never creates a wallet.
pub(super) fn descriptor(overrides: Overrides) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    let wallet = existing(&config)?;
    let is_mainnet = config.network == Network::Mainnet;
    say(&describe(wallet.scan_key(), &wallet.spend_public_key(), is_mainnet)?);
    Ok(())
}

/// The wallet of the relay, which must have one.
fn existing(config: &Config) -> anyhow::Result<Receiver> {
    let wallet = match &config.wallet {
        WalletConfig::Hot => own_wallet::open(&config.data_dir, &WalletConfig::HotIfPresent)?,
        other => own_wallet::open(&config.data_dir, other)?,
    };
    match wallet {
        Some(wallet) => Ok(wallet),
        None if matches!(config.wallet, WalletConfig::Off) => {
            bail!("there is no wallet: wallet.mode is off; set wallet.mode = \"hot\" and start the relay to create one")
        }
        None => Err(missing(config)),
    }
}

fn missing(config: &Config) -> anyhow::Error {
    anyhow!(
        "there is no wallet: {} does not exist; start the relay with wallet.mode = \"hot\" to create one",
        config.data_dir.join(FILE_NAME).display()
    )
}

/// Writes the keys of the hot wallet to a new file.
pub(super) fn export(overrides: Overrides, to: &Path) -> anyhow::Result<()> {
    let config = Loader::new(overrides).load()?;
    let key_file = config.data_dir.join(FILE_NAME);
    let is_there = !is_absent(&key_file)?;
    if matches!(config.wallet, WalletConfig::WatchOnly(_)) {
        let other = if is_there {
            format!(
                "; {} is the key of another wallet, which is not in use: remove both settings to export that one",
                key_file.display()
            )
        } else {
            String::new()
        };
        bail!(
            "the wallet of this relay is watch-only and cannot spend: its keys are wallet.scan_private_key and wallet.spend_public_key of the configuration{other}"
        );
    }
    if !is_there {
        return Err(missing(&config));
    }
    let (wallet, text) = own_wallet::export(&key_file, config.network)?;
    let mut file = create_private(to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} exists: name a file that does not exist yet", to.display()),
        _ => anyhow!(error),
    })?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    say(&format!(
        "Exported the wallet {} to {}. Whoever has this file can see and spend its coins.",
        wallet.address(config.network.silent_payment()),
        to.display()
    ));
    if matches!(config.wallet, WalletConfig::Off) {
        say("The relay does not use it while wallet.mode is off.");
    }
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
    // Before the data directory, which a wrong file must not create.
    let exported = own_wallet::read_exported(from, config.network)?;
    // A running relay would not notice the keys.
    let data_dir = DataDir::open(&config.data_dir)?;
    let wallet = own_wallet::import(data_dir.path(), &exported)?;
    let address = wallet.address(config.network.silent_payment());
    say(&format!("Imported the wallet {address}."));
    if matches!(config.wallet, WalletConfig::Off) {
        say("The relay does not use it while wallet.mode is off.");
    }
    Ok(())
}
