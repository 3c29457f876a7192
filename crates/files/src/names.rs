//! Paths: what is there, the names in a directory, and changing them.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::Named as _;
use crate::metadata::{Kind, Metadata};

const CREATE: &str = "create the directory";
const SYNC: &str = "write the directory";

/// What is at a path; follows links.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    match disk::mounted() {
        Some(disk) => disk.metadata(path),
        None => std::fs::metadata(path).map(|metadata| Metadata::of(&metadata)),
    }
    .named("read", path)
}

/// What is at a path; does not follow a link at its end.
pub(crate) fn link_metadata(path: &Path) -> io::Result<Metadata> {
    match disk::mounted() {
        // A simulated disk has no links.
        Some(disk) => disk.metadata(path),
        None => std::fs::symlink_metadata(path).map(|metadata| Metadata::of(&metadata)),
    }
    .named("read", path)
}

/// Whether a symbolic link is at a path.
pub fn is_link(path: &Path) -> io::Result<bool> {
    // A simulated disk has no links.
    if disk::mounted().is_some() {
        return Ok(false);
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_symlink()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error).named("read", path),
    }
}

/// Whether something is at a path; follows links.
pub fn exists(path: &Path) -> io::Result<bool> {
    match metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The paths in a directory, in any order.
pub fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match disk::mounted() {
        Some(disk) => disk.entries(directory),
        None => std::fs::read_dir(directory).and_then(|all| all.map(|entry| Ok(entry?.path())).collect()),
    }
    .named("list", directory)
}

/// Total size of the files in a directory and below, in bytes. Does not follow links. What disappears meanwhile counts
/// nothing.
pub fn size_of_tree(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for path in entries(directory)? {
        match link_metadata(&path) {
            Ok(Metadata {
                kind: Kind::File, size, ..
            }) => sum += size,
            Ok(Metadata {
                kind: Kind::Directory, ..
            }) => sum += size_of_tree(&path)?,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

pub(crate) fn create_directories(path: &Path) -> io::Result<()> {
    if let Some(disk) = disk::mounted() {
        return disk.create_directories(path).named(CREATE, path);
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).named(CREATE, path)
}

/// See [`make_private`](crate::make_private).
pub(crate) fn make_directory_private(path: &Path) -> io::Result<Option<u32>> {
    // Directories of a simulated disk are private.
    if disk::mounted().is_some() {
        return Ok(None);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        const CHANGE: &str = "change the mode of";
        let found = std::fs::metadata(path).named(CHANGE, path)?;
        let mode = found.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700)).named(CHANGE, path)?;
            return Ok(Some(mode));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(None)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match disk::mounted() {
        Some(disk) => disk.rename(from, to),
        None => std::fs::rename(from, to),
    }
    // Of the two names, that of the temporary file says nothing to anybody.
    .named("replace", to)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match disk::mounted() {
        Some(disk) => disk.remove(path),
        None => std::fs::remove_file(path),
    }
    .named("remove", path)
}

/// Makes the names in a directory durable. No operation except on Unix, as a directory cannot be opened elsewhere.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    if let Some(disk) = disk::mounted() {
        return disk.sync_directory(directory).named(SYNC, directory);
    }
    if cfg!(unix) {
        std::fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .named(SYNC, directory)
    } else {
        Ok(())
    }
}
