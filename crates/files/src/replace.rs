//! Files that are written as a whole.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::private::create_private;

/// Writes a file beside its target, and renames it, so that a kill or a power cut leaves the old file or the new one.
/// What an earlier kill has left beside it is removed, not written into: its mode could be another.
pub fn replace(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let new = beside(path);
    remove(&new)?;
    let mut file = match access {
        Access::Owner => create_private(&new)?,
        Access::Umask => File::create_new(&new)?,
    };
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    publish(&new, path)
}

/// The name under which a file is written before it has its own: with `.new` behind it.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Gives a file its own name, in the place of another. When this returns, the name survives a power cut; the content
/// does if it was synced.
pub fn publish(new: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(new, path)?;
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(dir) => sync_directory(dir),
        None => Ok(()),
    }
}

/// Makes the names in a directory survive a power cut. Elsewhere than on Unix a directory cannot be opened.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.names");
        for content in ["long text", "text", ""] {
            replace(&path, content.as_bytes(), Access::Umask).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        // Two files that differ in their extension alone do not share a name.
        assert_ne!(beside(&path), beside(&path.with_extension("key")));
    }

    /// `mesh.identity = "mesh.id"`: such a path has an empty parent, which cannot be opened.
    #[test]
    fn a_file_in_the_working_directory_is_one_too() {
        let name = format!("replace-test-{}.tmp", std::process::id());
        let replaced = replace(Path::new(&name), b"text", Access::Owner);
        remove(Path::new(&name)).unwrap();
        replaced.unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_a_kill_has_left_does_not_give_its_mode_to_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.key");
        std::fs::write(beside(&path), "left").unwrap();
        std::fs::set_permissions(beside(&path), std::fs::Permissions::from_mode(0o666)).unwrap();
        replace(&path, b"key", Access::Owner).unwrap();
        assert_eq!(crate::exposed(&path).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "key");
    }
}
