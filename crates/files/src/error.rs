//! Errors that name the file, and what was tried with it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The error inside each [`io::Error`] of this crate, so that no caller can forget the verb or the file.
#[derive(Debug)]
struct FileError {
    verb: &'static str,
    path: PathBuf,
    /// Its `Display` is part of that of this error, so it is no `source`: a chain of causes would repeat it.
    reason: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.verb, self.path.display(), self.reason)
    }
}

impl std::error::Error for FileError {}

/// The error with verb and path, of the same kind. One that has them already is returned unchanged: it is more precise.
pub(crate) fn failed(verb: &'static str, path: &Path, reason: io::Error) -> io::Error {
    if inner(&reason).is_some() {
        return reason;
    }
    let kind = reason.kind();
    let path = path.to_owned();
    io::Error::new(kind, FileError { verb, path, reason })
}

/// The reason alone, for a message that has verb and file already, such as `tls.key = "/x": cannot be read: …`.
pub fn reason(error: &io::Error) -> &io::Error {
    inner(error).map_or(error, |error| &error.reason)
}

fn inner(error: &io::Error) -> Option<&FileError> {
    error.get_ref()?.downcast_ref()
}

/// For results: [`failed`] with the verb and the path.
pub(crate) trait Named<T> {
    fn named(self, verb: &'static str, path: &Path) -> io::Result<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, verb: &'static str, path: &Path) -> Self {
        self.map_err(|error| failed(verb, path, error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};

    use super::*;
    use crate::{
        Disk, Fault, Open, Operation, check_directory, check_regular, create_private, entries, exists, exposed,
        is_absent, make_directory, metadata, open_regular, publish, read_text, remove, replace, size_of_tree,
        sync_directory,
    };

    type Call = Box<dyn Fn(&Path) -> io::Result<()>>;

    /// Every function that touches a path, each as a call that fails on a broken disk.
    fn calls() -> Vec<(&'static str, Call)> {
        fn call<T>(f: impl Fn(&Path) -> io::Result<T> + 'static) -> Call {
            Box::new(move |path| f(path).map(drop))
        }
        vec![
            ("read", call(open_regular)),
            ("read", call(|p| read_text(p, 9))),
            ("read", call(|p| Open::reading().open(p))),
            ("read", call(check_regular)),
            ("read", call(metadata)),
            ("read", call(exposed)),
            ("read", call(check_directory)),
            ("write", call(|p| Open::writing().open(p))),
            ("write", call(|p| Open::appending().open(p))),
            ("create", call(|p| create_private(&p.join("x")))),
            ("list", call(entries)),
            ("list", call(size_of_tree)),
            ("create", call(|p| replace(&p.join("x"), b""))),
            ("replace", call(|p| publish(p, &p.join("x")))),
        ]
    }

    /// Text and kind of each error: `cannot VERB PATH: REASON`, and the kind of the system, on which callers decide.
    #[test]
    fn every_error_names_verb_and_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        for (verb, call) in calls() {
            let error = call(&missing).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
            assert!(
                text.starts_with(&format!("cannot {verb} {}", missing.display()))
                    && text.matches("cannot").count() == 1,
                "{verb}: {text}"
            );
            assert!(!reason(&error).to_string().contains("missing"), "{text}");
        }
    }

    /// A disk that fails only later: the descriptor is open, and its errors name the file as well.
    #[test]
    fn errors_of_an_open_file_name_it() {
        let disk = Disk::default();
        let _mounted = disk.mount();
        let path = Path::new("/data/log");
        make_directory(Path::new("/data")).unwrap();
        let mut file = Open::writing().create_new().open(path).unwrap();
        file.write_all(b"text").unwrap();
        let fails = |failing: Operation| -> Option<Fault> {
            Some(Box::new(move |operation, _| {
                (operation == failing).then(|| ErrorKind::StorageFull.into())
            }))
        };
        let text = |result: io::Result<()>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            error.to_string()
        };
        disk.set_fault(fails(Operation::Write));
        for result in [file.write_all(b"a"), file.write_all_at(b"a", 0), file.set_len(9)] {
            assert_eq!(text(result), "cannot write /data/log: no storage space");
        }
        disk.set_fault(fails(Operation::Sync));
        assert_eq!(text(file.sync_data()), "cannot write /data/log: no storage space");
        assert_eq!(
            text(sync_directory(Path::new("/data"))),
            "cannot write the directory /data: no storage space"
        );
        disk.set_fault(fails(Operation::Read));
        assert_eq!(
            text(file.read(&mut [0]).map(drop)),
            "cannot read /data/log: no storage space"
        );
        assert_eq!(
            text(file.read_exact_at(&mut [0], 0)),
            "cannot read /data/log: no storage space"
        );
        assert_eq!(
            text(entries(Path::new("/data")).map(drop)),
            "cannot list /data: no storage space"
        );
        disk.set_fault(fails(Operation::Name));
        assert_eq!(text(remove(path)), "cannot remove /data/log: no storage space");
        assert!(exists(path).unwrap() && !is_absent(path).unwrap());
    }
}
