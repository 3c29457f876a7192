//! Files that are written as a whole.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::names::{remove_file, rename, sync_directory};
use crate::options::Open;

/// Writes a temporary file in the directory of the target, and renames it, so that after a kill or a power cut either
/// the old file or the new one is there. The new one has mode 0600. A temporary file that an earlier kill has left is
/// removed, not reused: its mode may differ.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path);
    remove(&new)?;
    let mut file = Open::writing().create_new().open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    publish(&new, path)
}

/// The path of the temporary file: with `.new` appended.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Renames a file to its final name, replacing an existing one. When this returns, the name is durable; the content is
/// if it was synced.
pub fn publish(new: &Path, path: &Path) -> io::Result<()> {
    rename(new, path)?;
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(dir) => sync_directory(dir),
        None => Ok(()),
    }
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> io::Result<()> {
    match remove_file(path) {
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
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "the temporary file is gone"
        );
        // Two files that differ only in their extension have different temporary files.
        assert_ne!(beside(&path), beside(&path.with_extension("key")));
    }

    /// `mesh.identity = "mesh.id"`: such a path has an empty parent, which cannot be opened.
    #[test]
    fn a_file_in_the_working_directory_is_replaced() {
        let name = format!("replace-test-{}.tmp", std::process::id());
        let replaced = replace(Path::new(&name), b"text");
        remove(Path::new(&name)).unwrap();
        replaced.unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_leftover_temporary_file_does_not_affect_the_mode_of_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wallet.key");
        std::fs::write(beside(&path), "left").unwrap();
        std::fs::set_permissions(beside(&path), std::fs::Permissions::from_mode(0o666)).unwrap();
        replace(&path, b"key").unwrap();
        assert_eq!(crate::exposed(&path).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "key");
    }
}
