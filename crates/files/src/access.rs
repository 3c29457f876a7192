//! Who may use a file.

/// Who may use a file or a directory that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone (mode 0600; a directory: 0700).
    Owner,
    /// Whom the umask of the process lets.
    Umask,
}
