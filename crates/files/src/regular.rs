//! Checks of configured paths: whether they are regular files or directories.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::failed;
use crate::file::File;
use crate::metadata::{Kind, Metadata};
use crate::names::{create_directories, link_metadata, metadata};
use crate::options::Open;

/// Opens a file for reading. A named pipe, which blocks until a process writes to it, and a device, which may never
/// end, are errors.
pub fn open_regular(path: &Path) -> io::Result<File> {
    check_regular(path)?;
    Open::reading().open(path)
}

/// The metadata of a regular file. Anything else is an error that names its type.
pub fn check_regular(path: &Path) -> io::Result<Metadata> {
    let found = metadata(path)?;
    if found.kind == Kind::File {
        return Ok(found);
    }
    let reason = io::Error::other(format!("it is {}, not a regular file", found.kind.name()));
    Err(failed("read", path, reason))
}

/// Checks that the path is a directory. Anything else is an error that names its type.
pub fn check_directory(path: &Path) -> io::Result<()> {
    let found = metadata(path)?.kind;
    if found == Kind::Directory {
        return Ok(());
    }
    let reason = io::Error::other(format!("it is {}, not a directory", found.name()));
    Err(failed("use", path, reason))
}

/// Creates a directory and its parents, with mode 0700. Anything else at the path is an error that names its type.
pub fn make_directory(path: &Path) -> io::Result<()> {
    create_directories(path).map_err(|error| match metadata(path) {
        Ok(Metadata { kind, .. }) if kind != Kind::Directory => {
            let reason = io::Error::other(format!("it is {}, not a directory", kind.name()));
            failed("create the directory", path, reason)
        }
        _ => error,
    })
}

/// Whether nothing exists at a path. A dangling link is an error: its target is missing, and the link must not be
/// replaced.
pub fn is_absent(path: &Path) -> io::Result<bool> {
    let nothing = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    match link_metadata(path) {
        Err(error) if nothing(&error) => return Ok(true),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    match metadata(path) {
        Err(error) if nothing(&error) => {
            let reason = io::Error::other("it is a link to a file that does not exist");
            Err(failed("read", path, reason))
        }
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_dangling_link_is_not_absent() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, circle] = ["file", "link", "circle"].map(|name| dir.path().join(name));
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
    fn the_error_names_the_type_of_a_non_file_and_a_link_to_a_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, socket, pipe] = ["file", "link", "socket", "pipe"].map(|name| dir.path().join(name));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(open_regular(&link).and_then(io::read_to_string).unwrap(), "text");
        for (path, found) in [
            (dir.path(), "a directory"),
            (&socket, "a socket"),
            (&pipe, "a named pipe"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = open_regular(path).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("cannot read {}: it is {found}, not a regular file", path.display()),
                "{}",
                path.display()
            );
        }
        let absent = open_regular(&dir.path().join("absent")).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_error_names_the_type_of_a_non_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let error = make_directory(&file).unwrap_err().to_string();
        let expected = format!(
            "cannot create the directory {}: it is a regular file, not a directory",
            file.display()
        );
        assert_eq!(error, expected);
        make_directory(&dir.path().join("a/b")).unwrap();
        make_directory(&dir.path().join("a/b")).unwrap();
    }
}
