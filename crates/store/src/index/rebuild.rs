//! A damaged database: set aside, and an empty index in its place, since all of it can be computed again from the node.
//!
//! Guarantees: the damaged file is kept until the next one is set aside; the segments go, as nothing else leads to the
//! blocks in them; what belongs to another network, a newer program or another process stays as it is.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::IndexError;

/// The database's file in the directory of the index.
pub(super) const DATABASE: &str = "index.redb";
/// What a damaged database is called. One file: more of them would fill the disk where it is the disk that damages
/// them.
const SET_ASIDE: &str = "index.redb.damaged";

/// Why the index is being built anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Where the damaged database is now.
    pub set_aside: PathBuf,
    /// What was found wrong with it.
    pub reason: String,
}

/// The rebuild that is under way.
#[derive(Debug, Default)]
pub(super) struct Rebuilding(Mutex<Option<Rebuild>>);

impl Rebuilding {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Rebuild>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renames the database; gives its new name.
pub(super) fn set_aside(dir: &Path) -> Result<PathBuf, IndexError> {
    let (path, aside) = (dir.join(DATABASE), dir.join(SET_ASIDE));
    let moved = sdk_relay_files::publish(&path, &aside);
    moved.map_err(|source| IndexError::File { path, source })?;
    Ok(aside)
}
