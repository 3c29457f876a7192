//! Replaces a damaged database by an empty one: the index can be recomputed from the node.
//!
//! Guarantees: the damaged file is kept until the next one is moved aside; the segments are deleted, because their
//! blocks cannot be found without the database; an index of another network, a newer version or another process is not
//! modified.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::IndexError;

/// File name of the database in the directory of the index.
pub const DATABASE: &str = "index.redb";
/// File name of a damaged database. Only one is kept: with a failing disk, more of them would fill it.
const SET_ASIDE: &str = "index.redb.damaged";

/// Why the index is being rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Path of the damaged database.
    pub set_aside: PathBuf,
    /// Reason of the rebuild.
    pub reason: String,
}

/// The rebuild in progress.
#[derive(Debug, Default)]
pub(super) struct Rebuilding(Mutex<Option<Rebuild>>);

impl Rebuilding {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Rebuild>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renames the database; returns its new path.
pub(super) fn set_aside(dir: &Path) -> Result<PathBuf, IndexError> {
    let (path, aside) = (dir.join(DATABASE), dir.join(SET_ASIDE));
    let moved = sdk_relay_files::publish(&path, &aside);
    moved.map_err(|source| IndexError::File { path, source })?;
    Ok(aside)
}
