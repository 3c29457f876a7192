//! The relay's own silent-payment wallet: watch-only with keys from the configuration, or hot with those of a file of
//! mode 0600 in the data directory.

mod transfer;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use sdk_relay_bip352::{Receiver, ScanKey};
use sdk_relay_config::WalletConfig;
use sdk_relay_files::{exposed, is_absent, read_text, replace};
use sdk_relay_platform::random;
use zeroize::Zeroizing;

pub use transfer::{Exported, ImportError, export, import, read_exported};

/// Name of the key file in the data directory.
pub const FILE_NAME: &str = "wallet.key";
/// A wallet has some 300 bytes. A file of this size is another one.
const MOST_BYTES: u64 = 16 << 10;
const SCAN: &str = "scan_private_key";
const SPEND: &str = "spend_private_key";

/// Why the wallet cannot be opened. No error contains the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// It cannot be read or written.
    #[error("the wallet key: {0}")]
    Io(std::io::Error),
    /// Others than its owner may read it.
    #[error("the wallet key {} can be read by other users (mode {mode:04o}): run chmod 600 on it, and consider who may have read it", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is damaged.
    #[error("the wallet key {} is damaged: {found}; expected the lines {SCAN} = \"…\" and {SPEND} = \"…\" with 64 hex digits each. Restore it from its copy; without one, move it away; the relay then creates a new wallet", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without quoting it.
        found: String,
    },
    /// The keys are invalid.
    #[error("the keys of the wallet are not valid: {0}")]
    Keys(#[from] sdk_relay_bip352::LabelError),
}

/// The relay's own wallet; `None` for a relay without one. Creates the key file of a hot wallet if it is missing.
pub fn open(data_dir: &Path, config: &WalletConfig) -> Result<Option<Receiver>, WalletError> {
    let path = data_dir.join(FILE_NAME);
    match config {
        WalletConfig::Off => Ok(None),
        WalletConfig::WatchOnly(keys) => receiver(keys.scan, keys.spend).map(Some),
        WalletConfig::HotIfPresent if is_missing(&path)? => {
            tracing::info!("this relay has no wallet of its own; wallet.mode = \"hot\" creates one");
            Ok(None)
        }
        WalletConfig::Hot | WalletConfig::HotIfPresent => {
            if is_missing(&path)? {
                create(&path).map_err(WalletError::Io)?;
                tracing::info!(file = %path.display(), "created a new silent-payment wallet: back up its key file");
            }
            from_file(&path).map(Some)
        }
    }
}

/// Checks that [`open`] would succeed, without creating keys.
pub fn check(data_dir: &Path, config: &WalletConfig) -> Result<(), WalletError> {
    match config {
        WalletConfig::Hot | WalletConfig::HotIfPresent if is_missing(&data_dir.join(FILE_NAME))? => Ok(()),
        config => open(data_dir, config).map(drop),
    }
}

/// The wallet of a key file.
pub fn read(path: &Path) -> Result<Receiver, WalletError> {
    from_file(path)
}

fn text_of(path: &Path) -> Result<Zeroizing<String>, WalletError> {
    read_text(path, MOST_BYTES)
        .map(Zeroizing::new)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::FileTooLarge => WalletError::Damaged {
                path: path.to_owned(),
                found: "it is not a wallet".to_owned(),
            },
            _ => WalletError::Io(error),
        })
}

fn receiver(scan: SecretKey, spend: PublicKey) -> Result<Receiver, WalletError> {
    Ok(Receiver::new(ScanKey::from(scan), spend, [])?)
}

fn is_missing(path: &Path) -> Result<bool, WalletError> {
    is_absent(path).map_err(WalletError::Io)
}

fn from_file(path: &Path) -> Result<Receiver, WalletError> {
    if let Some(mode) = exposed(path).map_err(WalletError::Io)? {
        return Err(WalletError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let text = text_of(path)?;
    let (scan, spend) = keys_in(&text).map_err(|found| WalletError::Damaged {
        path: path.to_owned(),
        found,
    })?;
    receiver(scan, spend)
}

/// The scan key and the public spend key of a text, or what is wrong with it, without quoting it.
fn keys_in(text: &str) -> Result<(SecretKey, PublicKey), String> {
    let key = |name: &str| {
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix(name)?.trim_start().strip_prefix('='));
        let value = line.ok_or_else(|| missing(text, name))?;
        let value = value.trim().trim_matches('"');
        SecretKey::from_str(value).map_err(|_| format!("its {name} {}", what_instead(value)))
    };
    let (scan, mut spend) = (key(SCAN)?, key(SPEND)?);
    let public = spend.public_key(&Secp256k1::signing_only());
    spend.non_secure_erase();
    Ok((scan, public))
}

/// Why there is no line with this key. Does not quote the text: it may be another secret.
fn missing(text: &str, name: &str) -> String {
    if text.trim().is_empty() {
        return "it is empty".to_owned();
    }
    if text.contains("-----BEGIN ") {
        return "it is a PEM file".to_owned();
    }
    if text.contains("spend_public_key") {
        return format!("it has no {name}, but a public key, which cannot spend");
    }
    format!("it has no {name}")
}

/// What a value is that is no private key.
fn what_instead(value: &str) -> &'static str {
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value.len() {
        0 => "is empty",
        66 if is_hex && (value.starts_with("02") || value.starts_with("03")) => {
            "is a public key where a private key is needed"
        }
        64 if is_hex => "is a number that is no private key",
        length if is_hex && length != 64 => "has another number of hex digits",
        _ => "is not a key in hex",
    }
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
    replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use sdk_relay_bip352::Network;

    use super::*;

    fn address(wallet: Option<Receiver>) -> String {
        wallet.unwrap().address(Network::Regtest).to_string()
    }

    #[test]
    fn the_key_file_is_created_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = address(open(dir.path(), &WalletConfig::Hot).unwrap());
        for config in [WalletConfig::Hot, WalletConfig::HotIfPresent] {
            assert_eq!(address(open(dir.path(), &config).unwrap()), first);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(FILE_NAME);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                open(dir.path(), &WalletConfig::Hot),
                Err(WalletError::Exposed { mode: 0o644, .. })
            ));
        }
    }

    #[test]
    fn without_a_key_file_only_a_hot_wallet_creates_one() {
        let dir = tempfile::tempdir().unwrap();
        for config in [WalletConfig::Off, WalletConfig::HotIfPresent] {
            check(dir.path(), &config).unwrap();
            assert!(open(dir.path(), &config).unwrap().is_none());
        }
        check(dir.path(), &WalletConfig::Hot).unwrap();
        assert!(is_missing(&dir.path().join(FILE_NAME)).unwrap());
        open(dir.path(), &WalletConfig::Hot).unwrap().unwrap();
        assert!(!is_missing(&dir.path().join(FILE_NAME)).unwrap());
        assert!(open(dir.path(), &WalletConfig::Off).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_an_error_and_no_new_wallet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::os::unix::fs::symlink(dir.path().join("volume/wallet.key"), &path).unwrap();
        for config in [WalletConfig::Hot, WalletConfig::HotIfPresent] {
            for tried in [open(dir.path(), &config).map(drop), check(dir.path(), &config)] {
                let error = tried.unwrap_err();
                let error = format!("{error}: {:?}", std::error::Error::source(&error));
                assert!(error.contains(FILE_NAME) && error.contains("does not exist"), "{error}");
            }
        }
        assert!(path.is_symlink());
    }

    #[test]
    fn a_damaged_file_is_reported_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &WalletConfig::Hot).unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "scan_private_key = \"5ec2e7\"\n").unwrap();
        let failed = [
            open(dir.path(), &WalletConfig::Hot).map(drop),
            export(&path, sdk_relay_config::Network::Regtest).map(drop),
        ];
        for error in failed.map(Result::unwrap_err) {
            let message = error.to_string();
            assert!(message.contains(FILE_NAME) && !message.contains("5ec2e7"), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_wrong_wallet_file_is_named_for_what_it_is() {
        use std::os::unix::fs::PermissionsExt;
        const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exported");
        let open = |content: &str| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            read(&path)
        };
        let wallet = |scan: &str, spend: &str| format!("{SCAN} = \"{scan}\"\n{SPEND} = \"{spend}\"\n");
        let public = format!("02{SECRET}");
        for (content, found) in [
            (String::new(), "it is empty"),
            (format!("{SECRET} {SECRET}"), "it has no scan_private_key"),
            ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "it is a PEM file"),
            (
                format!("{SCAN} = \"{SECRET}\"\nspend_public_key = \"{public}\"\n"),
                "it has no spend_private_key, but a public key, which cannot spend",
            ),
            (
                wallet(&public, SECRET),
                "its scan_private_key is a public key where a private key is needed",
            ),
            (
                wallet(SECRET, &public),
                "its spend_private_key is a public key where a private key is needed",
            ),
            (wallet("", SECRET), "its scan_private_key is empty"),
            (
                wallet(&SECRET[2..], SECRET),
                "its scan_private_key has another number of hex digits",
            ),
            (
                wallet(&"0".repeat(64), SECRET),
                "its scan_private_key is a number that is no private key",
            ),
            (wallet("word", SECRET), "its scan_private_key is not a key in hex"),
            ("x".repeat(20_000), "it is not a wallet"),
        ] {
            let error = open(&content).unwrap_err().to_string();
            let start = format!("the wallet key {} is damaged: {found}; expected ", path.display());
            assert!(error.starts_with(&start) && !error.contains("5ec2e7"), "{error}");
        }
        // As an editor of Windows writes it.
        let text = wallet(SECRET, SECRET);
        let plain = open(&text).unwrap();
        let marked = open(&format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        assert_eq!(plain.spend_public_key(), marked.spend_public_key());
    }
}
