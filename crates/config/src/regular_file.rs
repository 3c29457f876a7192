//! Files that operators name, opened so that no thread waits for them.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file for reading. A named pipe, which blocks until somebody writes to it, and a device, which may never end, are errors.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// Whether there is nothing at a path. A link that leads nowhere is an error: what it should lead to is missing, not to be replaced.
pub fn is_absent(path: &Path) -> io::Result<bool> {
    let nothing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    match std::fs::symlink_metadata(path) {
        Err(error) if nothing(&error) => return Ok(true),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    match std::fs::metadata(path) {
        Err(error) if nothing(&error) => Err(io::Error::other("it is a link to a file that does not exist")),
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_not_absent() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, circle) = (
            dir.path().join("file"),
            dir.path().join("link"),
            dir.path().join("circle"),
        );
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        assert!(is_absent(&file).unwrap());
        assert!(is_absent(&link).unwrap_err().to_string().contains("does not exist"));
        assert!(is_absent(&circle).is_err());
        std::fs::write(&file, "text").unwrap();
        assert!(!is_absent(&file).unwrap() && !is_absent(&link).unwrap());
        assert!(is_absent(&file.join("deeper")).unwrap());
    }

    #[test]
    fn what_is_no_file_is_an_error_and_a_link_to_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link, socket) = (
            dir.path().join("file"),
            dir.path().join("link"),
            dir.path().join("socket"),
        );
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(open_regular(&link).and_then(io::read_to_string).unwrap(), "text");
        for path in [dir.path(), &socket, Path::new("/dev/zero")] {
            let error = open_regular(path).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{}", path.display());
        }
        assert_eq!(
            open_regular(&dir.path().join("absent")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
