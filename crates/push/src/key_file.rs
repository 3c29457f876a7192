//! The file of the push key: created at the first start with Web Push, of mode 0600.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sdk_relay_files::{exposed, is_absent, read_text, replace};
use zeroize::Zeroizing;

use crate::key::PushKey;

/// Name of the key file in the data directory.
pub const KEY_FILE: &str = "push.key";
/// A key has some 240 characters. A file of this size is another one.
const MOST_BYTES: u64 = 4096;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Characters in a line (RFC 7468).
const LINE: usize = 64;

/// Why the key is not available. No error shows the content of the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("the push key: {0}")]
    Io(std::io::Error),
    /// Other users may read it.
    #[error("the push key {} can be read by other users (mode {mode:04o}): run chmod 600 on it, or delete it; clients then subscribe again", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It does not contain a key.
    #[error("the push key {} is damaged: expected a private key of the curve P-256 in PEM (PKCS #8). Restore it from its copy, or delete it; clients then subscribe again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("the push key cannot be created: no randomness")]
    NoRandomness,
}

impl PushKey {
    /// Reads the key from this data directory; creates it if it is missing.
    ///
    /// # Errors
    /// What the operator has to change.
    pub fn open(data_dir: &Path) -> Result<Self, KeyError> {
        let path = data_dir.join(KEY_FILE);
        if is_absent(&path).map_err(KeyError::Io)? {
            let document = Self::generate().map_err(|_| KeyError::NoRandomness)?;
            replace(&path, pem(document.as_ref()).as_bytes()).map_err(KeyError::Io)?;
        }
        Self::read(path)
    }

    /// Whether [`Self::open`] would read the key, or create one.
    ///
    /// # Errors
    /// Those of [`Self::open`], but for the failure to create the file.
    pub fn check(data_dir: &Path) -> Result<(), KeyError> {
        let path = data_dir.join(KEY_FILE);
        if is_absent(&path).map_err(KeyError::Io)? {
            return Ok(());
        }
        Self::read(path).map(drop)
    }

    fn read(path: PathBuf) -> Result<Self, KeyError> {
        if let Some(mode) = exposed(&path).map_err(KeyError::Io)? {
            return Err(KeyError::Exposed { path, mode });
        }
        let text = match read_text(&path, MOST_BYTES) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if [ErrorKind::InvalidData, ErrorKind::FileTooLarge].contains(&error.kind()) => {
                return Err(KeyError::Damaged { path });
            }
            Err(error) => return Err(KeyError::Io(error)),
        };
        let document = document(&text);
        let key = document.and_then(|document| Self::from_pkcs8(&document).ok());
        key.ok_or(KeyError::Damaged { path })
    }
}

/// A private key as PEM (RFC 7468).
fn pem(document: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(document));
    let mut text = Zeroizing::new(format!("{BEGIN}\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, others) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = others;
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// The first private key of a PEM text.
fn document(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, after) = text.split_once(BEGIN)?;
    let (base64, _) = after.split_once(END)?;
    let base64: Zeroizing<String> = Zeroizing::new(base64.split_ascii_whitespace().collect());
    STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_created_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        PushKey::check(dir.path()).unwrap();
        let first = PushKey::open(dir.path()).unwrap();
        let again = PushKey::open(dir.path()).unwrap();
        assert_eq!(first.public(), again.public());
        // Uncompressed, 65 bytes.
        assert!(first.public().len() == 87 && first.public().starts_with('B'));
        PushKey::check(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(KEY_FILE)).unwrap();
        assert!(text.lines().all(|line| line.len() <= LINE) && text.starts_with(BEGIN));
        assert_eq!(format!("{first:?}"), format!("PushKey({:?})", first.public()));
    }

    #[test]
    fn a_damaged_file_is_neither_used_nor_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        let valid = pem(PushKey::generate().unwrap().as_ref());
        for text in ["", "5ec2e7", &valid.replace(END, ""), &valid.replacen("MI", "MJ", 1)] {
            replace(&path, text.as_bytes()).unwrap();
            let error = PushKey::open(dir.path()).unwrap_err();
            assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
            assert!(PushKey::check(dir.path()).is_err() && !error.to_string().contains("5ec2e7"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        PushKey::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            PushKey::open(dir.path()),
            Err(KeyError::Exposed { mode: 0o640, .. })
        ));
    }
}
