//! Free space of a file system.

use std::io;
use std::path::Path;

#[cfg(unix)]
use crate::error::Named as _;

/// Bytes that this user may still write to the file system of a path, or of its nearest parent that exists.
#[cfg(unix)]
pub fn free_space(path: &Path) -> io::Result<u64> {
    let there = path
        .ancestors()
        .find(|parent| parent.exists())
        .unwrap_or_else(|| Path::new("."));
    let system = rustix::fs::statvfs(there)
        .map_err(io::Error::from)
        .named("measure the free space of", there)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Not known here.
#[cfg(not(unix))]
pub fn free_space(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_has_the_space_of_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_space(&dir.path().join("deep/er")).unwrap() > 0);
        assert!(free_space(Path::new("nowhere")).unwrap() > 0);
    }
}
