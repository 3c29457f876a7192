//! Files that only their owner may read: keys.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Makes a file of mode 0600, written beside and renamed, so that a kill leaves the whole file or none. What an earlier kill left beside is
/// not written into: its mode could be another.
pub fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    remove(&beside)?;
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The mode of a file that others than its owner may use; `None` for one that is private, and where files have no modes.
pub fn exposed(path: &Path) -> std::io::Result<Option<u32>> {
    let metadata = std::fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o7777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }
    #[cfg(not(unix))]
    {
        drop(metadata);
        Ok(None)
    }
}
