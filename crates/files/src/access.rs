//! The access rights of a file.

/// The access rights of a new file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone (mode 0600; a directory: 0700).
    Owner,
    /// According to the umask of the process.
    Umask,
}
