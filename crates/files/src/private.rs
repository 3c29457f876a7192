//! Files that only their owner may read: keys, and the configuration.

use std::io;
use std::path::Path;

use crate::access::Access;
use crate::file::File;
use crate::options::Open;
use crate::regular::check_regular;

/// Creates a file of mode 0600, for writing. An existing file is an error.
pub fn create_private(path: &Path) -> io::Result<File> {
    Open::writing().create_new(Access::Owner).open(path)
}

/// The mode of a regular file that others than its owner may use; `None` for one that is private, and where files have
/// no modes. Anything but a regular file is an error, whatever its mode.
pub fn exposed(path: &Path) -> io::Result<Option<u32>> {
    let mode = check_regular(path)?.mode;
    Ok(mode.filter(|mode| mode & 0o077 != 0))
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
        assert_eq!(error, "it is a named pipe, not a regular file");
    }
}
