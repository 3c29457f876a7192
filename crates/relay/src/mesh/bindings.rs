//! Which key belongs to which name: bound on first sight, kept across restarts, and refused to another key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::clock::unix_now;

/// Name of the file in the data directory: a line for each name, `NAME KEY SECOND`, the second being that at which it was last seen.
const FILE_NAME: &str = "mesh.names";
/// Names kept. As many as the mesh knows relays.
const KEPT: usize = 4096;
/// A name that nobody has shown for so long may make way when the table is full. Younger ones never do: who floods the table with names of his
/// own drives nobody out.
const UNSEEN: u64 = 30 * 86_400;
/// Seen again within this time, a name is not written anew.
const WRITE_EVERY: u64 = 86_400;

/// The table.
#[derive(Debug)]
pub struct Bindings {
    path: PathBuf,
    names: Mutex<BTreeMap<String, (String, u64)>>,
}

/// Why a name is not a relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// It is another's.
    #[error("relay_id: this name belongs to another key")]
    Taken,
    /// There is no room for a new one.
    #[error("relay_id: this relay knows too many names already")]
    Full,
}

impl Bindings {
    /// Reads the table of this data directory. A line that cannot be read is left out.
    pub fn open(data_dir: &Path) -> std::io::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        let line = |line: &str| {
            let mut words = line.split(' ');
            let (name, key, seen) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
            Some((name.to_owned(), (key.to_owned(), seen)))
        };
        let names = text.lines().filter_map(line).take(KEPT).collect();
        Ok(Self {
            path,
            names: Mutex::new(names),
        })
    }

    /// Whether a name may be shown without a key: nobody has bound it.
    pub fn is_free(&self, name: &str) -> bool {
        !self
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }

    /// Binds a name to the key that has proven it, or refuses it.
    pub fn bind(&self, name: &str, key: &str) -> Result<(), NameRefused> {
        self.bind_at(unix_now(), name, key)
    }

    fn bind_at(&self, now: u64, name: &str, key: &str) -> Result<(), NameRefused> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.get_mut(name) {
            Some((bound, _)) if bound != key => return Err(NameRefused::Taken),
            Some((_, seen)) if now.saturating_sub(*seen) < WRITE_EVERY => return Ok(()),
            Some((_, seen)) => *seen = now,
            None => {
                if names.len() >= KEPT {
                    let oldest = names.iter().min_by_key(|(_, (_, seen))| *seen);
                    let oldest = oldest.filter(|(_, (_, seen))| now.saturating_sub(*seen) > UNSEEN);
                    let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                        return Err(NameRefused::Full);
                    };
                    names.remove(&oldest);
                }
                names.insert(name.to_owned(), (key.to_owned(), now));
            }
        }
        if let Err(error) = self.write(&names) {
            tracing::error!(%error, file = %self.path.display(), "the names of relays cannot be written: look at the disk of data_dir");
        }
        Ok(())
    }

    /// Written beside and renamed, so that a kill leaves the old table or the new one.
    fn write(&self, names: &BTreeMap<String, (String, u64)>) -> std::io::Result<()> {
        let text: String = names
            .iter()
            .map(|(name, (key, seen))| format!("{name} {key} {seen}\n"))
            .collect();
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_with_its_key_across_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let names = Bindings::open(dir.path()).unwrap();
        assert!(names.is_free("a"));
        names.bind("a", "k1").unwrap();
        assert_eq!(names.bind("a", "k2"), Err(NameRefused::Taken));
        let again = Bindings::open(dir.path()).unwrap();
        assert!(!again.is_free("a"));
        assert_eq!(again.bind("a", "k2"), Err(NameRefused::Taken));
        again.bind("a", "k1").unwrap();
    }

    #[test]
    fn bounded_and_a_flood_drives_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..KEPT).map(|n| format!("r{n} k{n} {}\n", 1_000_000 + n)).collect();
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        let names = Bindings::open(dir.path()).unwrap();
        assert_eq!(names.bind_at(1_000_000, "new", "k"), Err(NameRefused::Full));
        names.bind_at(1_000_001 + UNSEEN, "new", "k").unwrap();
        assert!(names.is_free("r0") && !names.is_free("r1"));
    }
}
