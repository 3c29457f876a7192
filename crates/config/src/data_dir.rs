//! The data directory: created if missing, and locked against a second relay.

use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use sdk_relay_files::{
    File, Kind, Open, TryLockError, check_regular, exists, is_absent, make_directory, metadata, reason, remove,
};

/// Name of the lock file. It is never deleted: a lock on a deleted file has no effect.
pub const LOCK_FILE: &str = "relay.lock";
/// Files that show that a relay has used the directory: the lock, and the keys, which a backup restores without the
/// lock.
const OF_A_RELAY: [&str; 3] = [LOCK_FILE, "wallet.key", "mesh.key"];

/// Exclusive lock of the data directory. Released on drop and when the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    was_used: bool,
    _lock: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another relay uses it.
    #[error("the data directory {} is in use by another relay (process {process}): stop it, or choose another one with --data-dir", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Process id of the other relay, as it wrote it.
        process: String,
    },
    /// Locking failed.
    #[error("cannot lock the data directory with its file relay.lock: {0}")]
    Lock(std::io::Error),
    /// It cannot be created or written.
    #[error("cannot use the data directory {}: {source}", .path.display())]
    Io {
        /// The directory or the file in it.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl DataDir {
    /// Creates the directory (mode 0700) and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        make(path).map_err(io)?;
        let mut was_used = false;
        for name in OF_A_RELAY {
            was_used |= exists(&path.join(name)).map_err(io)?;
        }
        let name = path.join(LOCK_FILE);
        check_lock(&name)?;
        let in_lock = DataDirError::Lock;
        let mut lock = Open::writing().or_create().open(&name).map_err(in_lock)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                if let Err(error) = lock.read_to_string(&mut process) {
                    process = format!("unknown: {error}");
                }
                return Err(DataDirError::InUse {
                    path: path.to_owned(),
                    process: process.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(in_lock(e)),
        }
        lock.set_len(0).map_err(in_lock)?;
        lock.rewind().map_err(in_lock)?;
        writeln!(lock, "{}", std::process::id()).map_err(in_lock)?;
        Ok(Self {
            path: path.to_owned(),
            was_used,
            _lock: lock,
        })
    }

    /// Checks that the directory can be created and written, without leaving a file in it. Ignores whether a relay uses
    /// it now.
    pub fn check(path: &Path) -> Result<(), DataDirError> {
        let mut there = path;
        while is_absent(there).unwrap_or(false) {
            match there.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => there = parent,
                None => there = Path::new("."),
            }
        }
        if !metadata(there).is_ok_and(|found| found.kind == Kind::Directory) {
            // Return the error that the start would return.
            return make(path).map_err(|source| DataDirError::Io {
                path: path.to_owned(),
                source,
            });
        }
        check_lock(&path.join(LOCK_FILE))?;
        let probe = there.join(format!(".sdk_relay-{}", std::process::id()));
        let created = Open::writing().create_new().open(&probe);
        let probed = created.and_then(|_| remove(&probe));
        probed.map_err(|error| DataDirError::Io {
            path: path.to_owned(),
            // The name of the probe says nothing to anybody.
            source: std::io::Error::new(error.kind(), format!("cannot write in it: {}", reason(&error))),
        })
    }

    /// Process id of the relay that uses the directory now, as it wrote it.
    pub fn user(path: &Path) -> Option<String> {
        let mut lock = Open::reading().open(&path.join(LOCK_FILE)).ok()?;
        // A relay that starts at this very moment may be refused by the check.
        lock.is_locked().ok()?.then(|| {
            let mut process = String::new();
            match lock.read_to_string(&mut process) {
                Ok(_) => process.trim().to_owned(),
                Err(error) => format!("unknown: {error}"),
            }
        })
    }

    /// Whether a relay has used the directory before.
    pub fn was_used(&self) -> bool {
        self.was_used
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Default data directory.
pub fn default_data_dir() -> PathBuf {
    home().join(".sdk_relay")
}

/// The user's home directory, or the working directory for a user without one.
pub(crate) fn home() -> PathBuf {
    std::env::home_dir()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Checks that a lock file can be opened or created.
fn check_lock(path: &Path) -> Result<(), DataDirError> {
    let checked = is_absent(path).and_then(|absent| if absent { Ok(()) } else { check_regular(path).map(drop) });
    checked.map_err(DataDirError::Lock)
}

/// Creates the directory with mode 0700.
fn make(path: &Path) -> std::io::Result<()> {
    make_directory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er");
        let first = DataDir::open(&path).unwrap();
        let message = DataDir::open(&path).unwrap_err().to_string();
        assert!(
            message.contains("in use") && message.contains(&std::process::id().to_string()),
            "{message}"
        );
        assert_eq!(DataDir::user(&path), Some(std::process::id().to_string()));
        drop(first);
        assert_eq!(DataDir::user(&path), None);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_with_the_keys_of_a_relay_was_used() {
        for name in OF_A_RELAY {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(name), "x").unwrap();
            assert!(DataDir::open(dir.path()).unwrap().was_used(), "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sdk_relay.toml"), "x").unwrap();
        assert!(!DataDir::open(dir.path()).unwrap().was_used());
    }

    #[test]
    fn a_check_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let deeper = dir.path().join("deep/er");
        DataDir::check(dir.path()).unwrap();
        DataDir::check(&deeper).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for path in [&file, &file.join("deeper")] {
            let checked = DataDir::check(path).unwrap_err().to_string();
            assert_eq!(checked, DataDir::open(path).unwrap_err().to_string());
        }
    }

    #[test]
    fn a_directory_in_the_place_of_the_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(LOCK_FILE)).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert_eq!(DataDir::check(dir.path()).unwrap_err().to_string(), error);
        assert!(
            error.ends_with("relay.lock: it is a directory, not a regular file"),
            "{error}"
        );
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x").unwrap();
        assert!(DataDir::open(&path).unwrap_err().to_string().contains("file"));
    }
}
