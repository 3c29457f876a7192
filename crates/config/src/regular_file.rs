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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

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
