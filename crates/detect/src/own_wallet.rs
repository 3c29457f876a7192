//! The relay's own silent-payment wallet: keys from the configuration, or created at the first start and stored in a
//! file of mode 0600.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use sdk_relay_bip352::{Receiver, ScanKey};
use sdk_relay_config::WalletKeys;
use sdk_relay_files::{Access, exposed, is_absent, open_regular, replace};
use sdk_relay_platform::random;
use zeroize::Zeroizing;

/// Name of the key file in the data directory.
const FILE_NAME: &str = "wallet.key";
const SCAN: &str = "scan_private_key";
const SPEND: &str = "spend_private_key";

/// Why the wallet cannot be opened. No error contains the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// It cannot be read or written.
    #[error("cannot read or write the wallet key {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("the wallet key {} can be read by other users (mode {mode:04o}): run chmod 600 on it, and consider who may have read it", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is damaged.
    #[error("the wallet key {} is damaged: expected the lines {SCAN} = \"…\" and {SPEND} = \"…\" with 64 hex digits each. Restore it from its copy; without one, move it away; the relay then creates a new wallet", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The keys are invalid.
    #[error("the keys of the wallet are not valid: {0}")]
    Keys(#[from] sdk_relay_bip352::LabelError),
}

/// The keys of the relay's own wallet.
pub fn open(data_dir: &Path, given: Option<&WalletKeys>) -> Result<Receiver, WalletError> {
    let (scan, spend) = match given {
        Some(keys) => (keys.scan, keys.spend),
        None => from_file(&data_dir.join(FILE_NAME))?,
    };
    Ok(Receiver::new(ScanKey::from(scan), spend, [])?)
}

/// Checks that [`open`] would succeed, without creating keys.
pub fn check(data_dir: &Path, given: Option<&WalletKeys>) -> Result<(), WalletError> {
    let path = data_dir.join(FILE_NAME);
    let absent = is_absent(&path).map_err(|source| WalletError::Io { path, source });
    match given.is_none() && absent? {
        true => Ok(()),
        false => open(data_dir, given).map(drop),
    }
}

fn from_file(path: &Path) -> Result<(SecretKey, PublicKey), WalletError> {
    let io = |source| WalletError::Io {
        path: path.to_owned(),
        source,
    };
    if is_absent(path).map_err(io)? {
        create(path).map_err(io)?;
        tracing::info!(file = %path.display(), "created a new silent-payment wallet: back up its key file");
    }
    if let Some(mode) = exposed(path).map_err(io)? {
        return Err(WalletError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let text = open_regular(path).and_then(std::io::read_to_string);
    let text = Zeroizing::new(text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => WalletError::Damaged { path: path.to_owned() },
        _ => io(error),
    })?);
    let key = |name: &str| {
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.and_then(|value| SecretKey::from_str(value.trim().trim_matches('"')).ok())
            .ok_or_else(|| WalletError::Damaged { path: path.to_owned() })
    };
    let (scan, mut spend) = (key(SCAN)?, key(SPEND)?);
    let public = spend.public_key(&Secp256k1::signing_only());
    spend.non_secure_erase();
    Ok((scan, public))
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut keys = [SecretKey::new(&mut random::rng()), SecretKey::new(&mut random::rng())];
    let text = Zeroizing::new(format!(
        "# The silent-payment wallet of this relay (BIP352). Anybody with this file can see and spend its coins.\n\
         {SCAN} = \"{}\"\n{SPEND} = \"{}\"\n",
        keys[0].display_secret(),
        keys[1].display_secret(),
    ));
    keys.iter_mut().for_each(SecretKey::non_secure_erase);
    replace(path, text.as_bytes(), Access::Owner)
}

#[cfg(test)]
mod tests {
    use sdk_relay_bip352::Network;

    use super::*;

    #[test]
    fn the_key_file_is_created_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), None).unwrap().address(Network::Regtest);
        assert_eq!(open(dir.path(), None).unwrap().address(Network::Regtest), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(FILE_NAME);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                open(dir.path(), None),
                Err(WalletError::Exposed { mode: 0o644, .. })
            ));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_an_error_and_no_new_wallet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::os::unix::fs::symlink(dir.path().join("volume/wallet.key"), &path).unwrap();
        for tried in [open(dir.path(), None).map(drop), check(dir.path(), None)] {
            let error = tried.unwrap_err();
            let error = format!("{error}: {:?}", std::error::Error::source(&error));
            assert!(error.contains(FILE_NAME) && error.contains("does not exist"), "{error}");
        }
        assert!(path.is_symlink());
    }

    #[test]
    fn a_damaged_file_is_reported_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), None).unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "scan_private_key = \"5ec2e7\"\n").unwrap();
        let message = open(dir.path(), None).unwrap_err().to_string();
        assert!(message.contains(FILE_NAME) && !message.contains("5ec2e7"), "{message}");
    }
}
