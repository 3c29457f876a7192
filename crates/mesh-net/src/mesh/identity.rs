//! This relay's key pair: created at first start, stored in a file of mode 0600, never shown.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::{DisplayHex, FromHex};
use bitcoin::secp256k1::rand::RngCore;
use bitcoin::secp256k1::schnorr::Signature;
use bitcoin::secp256k1::{All, Keypair, Message, Secp256k1, SecretKey, XOnlyPublicKey};
use sdk_relay_files::{entries, exposed, is_absent, read_text, reason, replace};
use sdk_relay_platform::random;
use zeroize::Zeroizing;

/// Name of the key file in the data directory.
const FILE_NAME: &str = "mesh.key";
/// A key has 64 hex digits. A file of this size is another one.
const MOST_BYTES: u64 = 4096;

/// Why the key is not available. No error shows the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written.
    #[error("the mesh key: {0}")]
    Io(std::io::Error),
    /// Other users may read it.
    #[error("the mesh key {} can be read by other users (mode {mode:04o}): run chmod 600 on it, or delete it to get a new identity", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It does not contain a private key.
    #[error("the mesh key {} is damaged: {found}; expected the 64 hex digits of a private key. Restore it from its copy, or delete it to become another relay to its peers", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it contains, without quoting it.
        found: &'static str,
    },
}

/// The key pair. `Debug` shows the public key only.
pub struct Identity {
    secp: Secp256k1<All>,
    pair: Keypair,
    public: String,
}

impl Identity {
    /// Reads the key from the given file, or from this data directory; creates it if it is missing.
    pub fn open(given: Option<&Path>, data_dir: &Path) -> Result<Self, IdentityError> {
        let path = given.map_or_else(|| data_dir.join(FILE_NAME), Path::to_owned);
        if is_absent(&path).map_err(IdentityError::Io)? {
            create(&path).map_err(IdentityError::Io)?;
        }
        if let Some(mode) = exposed(&path).map_err(IdentityError::Io)? {
            return Err(IdentityError::Exposed { path, mode });
        }
        let damaged = |found| IdentityError::Damaged {
            path: path.clone(),
            found,
        };
        let text = Zeroizing::new(read_text(&path, MOST_BYTES).map_err(|error| match error.kind() {
            ErrorKind::InvalidData | ErrorKind::FileTooLarge => damaged("it is not a key"),
            _ => IdentityError::Io(error),
        })?);
        let text = text.trim();
        let mut secret = SecretKey::from_str(text).map_err(|_| damaged(what_instead(text)))?;
        let identity = Self::new(&secret);
        secret.non_secure_erase();
        Ok(identity)
    }

    /// Whether [`Self::open`] would read the key, or could create one.
    pub fn check(given: Option<&Path>, data_dir: &Path) -> Result<(), IdentityError> {
        let path = given.map_or_else(|| data_dir.join(FILE_NAME), Path::to_owned);
        if !is_absent(&path).map_err(IdentityError::Io)? {
            return Self::open(given, data_dir).map(drop);
        }
        // The data directory is created if it is missing.
        let dir = path
            .parent()
            .filter(|dir| given.is_some() && !dir.as_os_str().is_empty());
        dir.map_or(Ok(()), |dir| entries(dir).map(drop)).map_err(|error| {
            // The start would fail to create the key, not to list the directory.
            let text = format!("cannot create {}: {}", path.display(), reason(&error));
            IdentityError::Io(std::io::Error::new(error.kind(), text))
        })
    }

    fn new(secret: &SecretKey) -> Self {
        let secp = Secp256k1::new();
        let pair = Keypair::from_secret_key(&secp, secret);
        let public = pair.x_only_public_key().0.serialize().to_lower_hex_string();
        Self { secp, pair, public }
    }

    /// X-only public key in hex.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// Schnorr signature (BIP340) of the message's SHA-256, in hex.
    pub fn sign(&self, message: &[u8]) -> String {
        let digest = Message::from_digest(sha256::Hash::hash(message).to_byte_array());
        self.secp
            .sign_schnorr(&digest, &self.pair)
            .serialize()
            .to_lower_hex_string()
    }

    /// Whether it is this key's signature of this message. Malformed input is not.
    pub fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool {
        let key = <[u8; 32]>::from_hex(public_key)
            .ok()
            .and_then(|bytes| XOnlyPublicKey::from_slice(&bytes).ok());
        let signature = <[u8; 64]>::from_hex(signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok());
        let digest = Message::from_digest(sha256::Hash::hash(message).to_byte_array());
        matches!((key, signature), (Some(key), Some(signature)) if self.secp.verify_schnorr(&signature, &digest, &key).is_ok())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.public)
    }
}

/// 32 random bytes in hex.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 32];
    random::rng().fill_bytes(&mut bytes);
    bytes.to_lower_hex_string()
}

/// A random number.
pub(super) fn random() -> u64 {
    random::rng().next_u64()
}

/// A hash of two names: a different, stable order of names at each relay.
pub(super) fn pair_hash(a: &str, b: &str) -> u64 {
    let hash = sha256::Hash::hash(format!("{a} {b}").as_bytes()).to_byte_array();
    hash.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// What a text is that is no private key. Does not quote it: it may be a damaged key, or another secret.
fn what_instead(text: &str) -> &'static str {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        0 => "it is empty",
        66 if is_hex && (text.starts_with("02") || text.starts_with("03")) => "it contains a public key",
        64 if is_hex => "its number is not a private key",
        _ if is_hex => "its number of hex digits is wrong",
        _ if text.contains("-----BEGIN ") => "it is a PEM file",
        _ => "it is not a key",
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut secret = SecretKey::new(&mut random::rng());
    let text = Zeroizing::new(format!("{}\n", secret.display_secret()));
    secret.non_secure_erase();
    replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_dangling_symlink_to_a_key_is_an_error_and_no_new_identity() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::os::unix::fs::symlink(dir.path().join("volume/mesh.key"), &path).unwrap();
        for tried in [
            Identity::open(None, dir.path()).map(drop),
            Identity::check(None, dir.path()),
        ] {
            let error = tried.unwrap_err();
            let error = format!("{error}: {:?}", std::error::Error::source(&error));
            assert!(error.contains(FILE_NAME) && error.contains("does not exist"), "{error}");
        }
        assert!(path.is_symlink());
    }

    #[test]
    fn the_key_persists_in_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::open(None, dir.path()).unwrap();
        let again = Identity::open(None, dir.path()).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let signature = first.sign(b"a");
        assert!(again.verify(first.public_key(), b"a", &signature));
        assert!(!again.verify(first.public_key(), b"b", &signature));
        let other = Identity::open(None, tempfile::tempdir().unwrap().path()).unwrap();
        assert!(!other.verify(other.public_key(), b"a", &signature));
        for malformed in ["", "00", &signature[1..], &"zz".repeat(64)] {
            assert!(!first.verify(first.public_key(), b"a", malformed));
            assert!(!first.verify(malformed, b"a", &signature));
        }
        let file = dir.path().join(FILE_NAME);
        let secret = std::fs::read_to_string(&file).unwrap();
        assert!(!format!("{first:?}").contains(secret.trim()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                Identity::open(None, dir.path()),
                Err(IdentityError::Exposed { .. })
            ));
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::write(&file, "nonsense").unwrap();
        let shown = Identity::open(None, dir.path()).unwrap_err().to_string();
        assert!(shown.contains("damaged") && !shown.contains("nonsense"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn a_wrong_key_file_is_named_for_what_it_is() {
        use std::os::unix::fs::PermissionsExt;
        const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.key");
        let open = |content: &str| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            Identity::open(Some(&path), dir.path())
        };
        for (content, found) in [
            (String::new(), "it is empty"),
            (format!("02{SECRET}"), "it contains a public key"),
            ("0".repeat(64), "its number is not a private key"),
            (SECRET[..60].to_owned(), "its number of hex digits is wrong"),
            (format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n"), "it is a PEM file"),
            (format!("x{SECRET}"), "it is not a key"),
            (SECRET.repeat(100), "it is not a key"),
        ] {
            let error = open(&content).unwrap_err().to_string();
            let start = format!("the mesh key {} is damaged: {found}; expected ", path.display());
            assert!(error.starts_with(&start) && !error.contains("5ec2e7"), "{error}");
        }
        // As an editor of Windows writes it.
        let plain = open(SECRET).unwrap().public_key().to_owned();
        assert_eq!(open(&format!("\u{feff}{SECRET}\r\n")).unwrap().public_key(), plain);
    }
}
