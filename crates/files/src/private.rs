//! Access of others than the owner: whether there is any, and its removal.

use std::io;
use std::path::Path;

use crate::file::File;
use crate::metadata::Kind;
use crate::names::{make_directory_private, metadata};
use crate::options::Open;
use crate::regular::{check_regular, open_regular};

/// Creates a file of mode 0600, for writing. An existing file is an error.
pub fn create_private(path: &Path) -> io::Result<File> {
    Open::writing().create_new().open(path)
}

/// The mode of a regular file that others than its owner may use; `None` for one that is private, and where files have
/// no modes. Anything but a regular file is an error, whatever its mode.
pub fn exposed(path: &Path) -> io::Result<Option<u32>> {
    let mode = check_regular(path)?.mode;
    Ok(mode.filter(|mode| mode & 0o077 != 0))
}

/// Removes the access of all but the owner to a file or a directory that was created with a wider mode. Returns that
/// mode; `None` for one that is private, and where files have no modes. Fails if it belongs to another user.
pub fn make_private(path: &Path) -> io::Result<Option<u32>> {
    match metadata(path)?.kind {
        Kind::Directory => make_directory_private(path),
        _ => open_regular(path)?.make_private(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_private_from_its_first_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        drop(create_private(&path).unwrap());
        assert_eq!(exposed(&path).unwrap(), None);
        assert_eq!(create_private(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(exposed(&path).unwrap(), Some(0o640));
    }

    #[test]
    fn access_of_others_is_removed_and_that_of_the_owner_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, inner) = (dir.path().join("file"), dir.path().join("inner"));
        std::fs::write(&file, "text").unwrap();
        std::fs::create_dir(&inner).unwrap();
        for (path, before, after) in [
            (&file, 0o666, 0o600),
            (&file, 0o440, 0o400),
            (&inner, 0o777, 0o700),
            (&inner, 0o550, 0o500),
        ] {
            std::fs::set_permissions(path, Permissions::from_mode(before)).unwrap();
            assert_eq!(make_private(path).unwrap(), Some(before), "{}", path.display());
            assert_eq!(metadata(path).unwrap().mode, Some(after), "{}", path.display());
            assert_eq!(make_private(path).unwrap(), None, "{}", path.display());
        }
        assert_eq!(
            make_private(&dir.path().join("absent")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_pipe_instead_of_a_key_is_an_error_whatever_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("mesh.key");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let error = exposed(&pipe).unwrap_err().to_string();
        let expected = format!("cannot read {}: it is a named pipe, not a regular file", pipe.display());
        assert_eq!(error, expected);
    }
}
