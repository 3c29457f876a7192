//! Export and import of the hot wallet.
//!
//! An exported file is a key file with two more comments: the network, and the address on it. Files of older versions
//! have none; they are imported on any network.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sdk_relay_bip352::Receiver;
use sdk_relay_config::Network;
use sdk_relay_files::{exposed, read_text, replace};
use zeroize::Zeroizing;

use super::{FILE_NAME, MOST_BYTES, SCAN, SPEND, WalletError, from_file, is_missing, keys_in, receiver, text_of};

const NETWORK: &str = "# network: ";
const ADDRESS: &str = "# address: ";

/// Why an exported wallet cannot be imported. No error contains the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// Others than its owner may read it.
    #[error("{} can be read by other users (mode {mode:04o}): run chmod 600 on it, and consider who may have read it", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is another file.
    #[error("{} is not an exported wallet: {found}; expected a file of sdk_relay wallet export, with the lines {SCAN} = \"…\" and {SPEND} = \"…\" of 64 hex digits each", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without quoting it.
        found: String,
    },
    /// It was exported on another network, where its address is another one.
    #[error("{} has the wallet of a relay on {found}, and this relay is configured for {wanted}: import it with --network {found}", .path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Network of the file.
        found: Network,
        /// Network of the configuration.
        wanted: Network,
    },
    /// The data directory has another wallet.
    #[error("{} is the key of another wallet: move it away first, and keep it if coins were paid to it", .path.display())]
    Other {
        /// The key file of the data directory.
        path: PathBuf,
    },
    /// The wallet of the data directory cannot be read or written.
    #[error(transparent)]
    Existing(#[from] WalletError),
}

/// The wallet of an exported file.
pub struct Exported {
    text: Zeroizing<String>,
    wallet: Receiver,
}

/// The wallet of a key file, and the text of its export: the comments of the file, network, address and both private
/// keys. Fails if the file is not a wallet.
pub fn export(path: &Path, network: Network) -> Result<(Receiver, Zeroizing<String>), WalletError> {
    let wallet = from_file(path)?;
    let text = text_of(path)?;
    let address = wallet.address(network.silent_payment());
    let heading = format!("{NETWORK}{network}\n{ADDRESS}{address}\n");
    // Reserved at once: a string that grows leaves copies of a key behind.
    let mut exported = Zeroizing::new(String::with_capacity(heading.len() + text.len() + 1));
    exported.push_str(&heading);
    // Those of an imported file.
    let is_heading = |line: &str| line.starts_with(NETWORK) || line.starts_with(ADDRESS);
    for line in text.lines().filter(|line| !is_heading(line)) {
        exported.push_str(line);
        exported.push('\n');
    }
    Ok((wallet, exported))
}

/// Reads and checks an exported file, for a relay on this network.
pub fn read_exported(path: &Path, network: Network) -> Result<Exported, ImportError> {
    let path_buf = || path.to_owned();
    let text = read_text(path, MOST_BYTES)
        .map(Zeroizing::new)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::FileTooLarge => ImportError::Content {
                path: path_buf(),
                found: "it is not a wallet".to_owned(),
            },
            _ => ImportError::Unreadable(error),
        })?;
    if let Some(mode) = exposed(path).map_err(ImportError::Unreadable)? {
        return Err(ImportError::Exposed { path: path_buf(), mode });
    }
    let (scan, spend) = keys_in(&text).map_err(|found| ImportError::Content {
        path: path_buf(),
        found,
    })?;
    let named = text.lines().find_map(|line| line.strip_prefix(NETWORK));
    if let Some(found) = named.and_then(|name| Network::from_name(name.trim()))
        && found != network
    {
        return Err(ImportError::OtherNetwork {
            path: path_buf(),
            found,
            wanted: network,
        });
    }
    let wallet = receiver(scan, spend)?;
    Ok(Exported { text, wallet })
}

/// Makes the wallet the hot wallet of a data directory. Does nothing if it is that wallet already; another wallet there
/// is an error. No relay may use the directory.
pub fn import(data_dir: &Path, exported: &Exported) -> Result<Receiver, ImportError> {
    let path = data_dir.join(FILE_NAME);
    if !is_missing(&path)? {
        let existing = from_file(&path)?;
        let is_same = existing.scan_public_key() == exported.wallet.scan_public_key()
            && existing.spend_public_key() == exported.wallet.spend_public_key();
        return if is_same {
            Ok(existing)
        } else {
            Err(ImportError::Other { path })
        };
    }
    replace(&path, exported.text.as_bytes()).map_err(WalletError::Io)?;
    Ok(from_file(&path)?)
}

#[cfg(test)]
mod tests {
    use sdk_relay_config::WalletConfig;

    use super::super::open;
    use super::*;

    const REGTEST: Network = Network::Regtest;

    fn address(wallet: &Receiver) -> String {
        wallet.address(REGTEST.silent_payment()).to_string()
    }

    fn hot(dir: &Path) -> Receiver {
        open(dir, &WalletConfig::Hot).unwrap().unwrap()
    }

    fn write(path: &Path, text: &str) {
        replace(path, text.as_bytes()).unwrap();
    }

    fn refusal(path: &Path, network: Network) -> String {
        read_exported(path, network).err().unwrap().to_string()
    }

    #[test]
    fn an_exported_wallet_is_restored_by_its_import_and_replaces_no_other() {
        let [from, to, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let first = address(&hot(from.path()));
        let copy = from.path().join("copy");
        let (wallet, text) = export(&from.path().join(FILE_NAME), REGTEST).unwrap();
        assert_eq!(address(&wallet), first);
        write(&copy, &text);
        // The second time it is there already.
        for _ in 0..2 {
            let exported = read_exported(&copy, REGTEST).unwrap();
            assert_eq!(address(&import(to.path(), &exported).unwrap()), first);
        }
        assert_eq!(address(&hot(to.path())), first);
        // Exported again, it has the same text.
        assert_eq!(export(&to.path().join(FILE_NAME), REGTEST).unwrap().1, text);
        let second = address(&hot(other.path()));
        let exported = read_exported(&copy, REGTEST).unwrap();
        assert!(matches!(
            import(other.path(), &exported),
            Err(ImportError::Other { .. })
        ));
        assert_eq!(address(&hot(other.path())), second);
    }

    #[test]
    fn an_exported_file_names_network_and_address_and_is_refused_on_another_network() {
        let dir = tempfile::tempdir().unwrap();
        let first = address(&hot(dir.path()));
        let key_file = dir.path().join(FILE_NAME);
        let (_, text) = export(&key_file, REGTEST).unwrap();
        let heading = format!("# network: regtest\n# address: {first}\n");
        assert!(text.starts_with(&heading), "another heading");
        assert!(text.ends_with(&*text_of(&key_file).unwrap()), "another text");
        let copy = dir.path().join("copy");
        write(&copy, &text);
        assert_eq!(
            refusal(&copy, Network::Mainnet),
            format!(
                "{} has the wallet of a relay on regtest, and this relay is configured for mainnet: import it with --network regtest",
                copy.display()
            )
        );
        // As versions before 0.2.0 exported it.
        write(&copy, &text_of(&key_file).unwrap());
        read_exported(&copy, Network::Mainnet).unwrap();
    }

    #[test]
    fn a_wrong_file_is_named_without_advice_about_the_wallet_of_the_relay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exported");
        let missing = refusal(&path, REGTEST);
        assert!(
            missing.starts_with(&format!("cannot read {}: No such file", path.display())),
            "{missing}"
        );
        for (text, found) in [
            ("", "it is empty"),
            ("-----BEGIN PRIVATE KEY-----\n", "it is a PEM file"),
            (
                "scan_private_key = \"5ec2e7\"",
                "its scan_private_key has another number of hex digits",
            ),
        ] {
            write(&path, text);
            let error = refusal(&path, REGTEST);
            let start = format!(
                "{} is not an exported wallet: {found}; expected a file of sdk_relay wallet export",
                path.display()
            );
            assert!(error.starts_with(&start), "{error}");
            assert!(
                !error.contains("5ec2e7") && !error.contains("creates a new wallet"),
                "{error}"
            );
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let error = refusal(&path, REGTEST);
            assert!(
                error.contains("can be read by other users (mode 0644): run chmod 600"),
                "{error}"
            );
        }
    }
}
