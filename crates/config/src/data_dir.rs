//! The data directory: created if missing, and locked against a second relay.

use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sdk_relay_files::{
    File, Kind, Open, TryLockError, check_regular, entries, exists, is_absent, is_link, make_directory, metadata,
    reason, remove,
};

/// Name of the lock file. It is never deleted: a lock on a deleted file has no effect.
pub const LOCK_FILE: &str = "relay.lock";
/// How the names of the files begin that a check creates and removes. A kill may leave one, which the next start
/// removes.
const PROBE: &str = ".sdk_relay-";
/// Number of the next one.
static PROBES: AtomicU64 = AtomicU64::new(0);
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
        for left in entries(path).map_err(io)? {
            let name = left.file_name().map(|name| name.to_string_lossy());
            if name.is_some_and(|name| name.starts_with(PROBE)) {
                remove(&left).map_err(io)?;
            }
        }
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
        // Checks may run at once in this process.
        let number = PROBES.fetch_add(1, Ordering::Relaxed);
        let probe = there.join(format!("{PROBE}{}-{number}", std::process::id()));
        // A process with this number may have been killed here; in a container it has the same at each start.
        let created = remove(&probe).and_then(|()| Open::writing().create_new().open(&probe));
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

/// Checks that a lock file can be opened or created. It is emptied and written, so a link, which somebody else may have
/// made, is refused.
fn check_lock(path: &Path) -> Result<(), DataDirError> {
    if is_link(path).map_err(DataDirError::Lock)? {
        let error = std::io::Error::other(format!("{}: it is a symbolic link: remove it", path.display()));
        return Err(DataDirError::Lock(error));
    }
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
    fn what_a_killed_check_has_left_is_no_obstacle_and_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let next = PROBES.load(Ordering::Relaxed);
        for number in next..next + 1000 {
            let name = format!("{PROBE}{}-{number}", std::process::id());
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        (0..50).for_each(|_| DataDir::check(dir.path()).unwrap());
        drop(DataDir::open(dir.path()).unwrap());
        let left = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), [LOCK_FILE]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused_and_its_target_kept() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = other.path().join("target");
        std::fs::write(&target, "text").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join(LOCK_FILE)).unwrap();
        for error in [
            DataDir::open(dir.path()).unwrap_err().to_string(),
            DataDir::check(dir.path()).unwrap_err().to_string(),
        ] {
            assert!(
                error.ends_with("relay.lock: it is a symbolic link: remove it"),
                "{error}"
            );
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "text");
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
