//! The type, size and mode of what is at a path.

/// The type of what is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; only where links are not followed.
    Link,
    /// Anything else: its name, with an article.
    Other(&'static str),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Link => "a link",
            Self::Other(name) => name,
        }
    }

    fn of(kind: std::fs::FileType) -> Self {
        if kind.is_file() {
            return Self::File;
        }
        if kind.is_dir() {
            return Self::Directory;
        }
        if kind.is_symlink() {
            return Self::Link;
        }
        Self::Other(other(kind))
    }
}

#[cfg(unix)]
fn other(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn other(_: std::fs::FileType) -> &'static str {
    "something else"
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Its type.
    pub kind: Kind,
    /// Size of a file, in bytes.
    pub size: u64,
    /// Permission bits; `None` where files have no modes.
    pub mode: Option<u32>,
}

impl Metadata {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        #[cfg(unix)]
        let mode = {
            use std::os::unix::fs::PermissionsExt;
            Some(metadata.permissions().mode() & 0o7777)
        };
        #[cfg(not(unix))]
        let mode = None;
        Self {
            kind: Kind::of(metadata.file_type()),
            size: metadata.len(),
            mode,
        }
    }
}
