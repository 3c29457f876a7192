//! How a file is opened.

/// How a file is opened. The default opens an existing file for reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) truncate: bool,
}

impl Open {
    /// For reading.
    pub fn reading() -> Self {
        Self::default()
    }

    /// For reading and writing.
    pub fn writing() -> Self {
        Self {
            write: true,
            ..Self::default()
        }
    }

    /// For reading, and for writing at its end.
    pub fn appending() -> Self {
        Self {
            append: true,
            ..Self::default()
        }
    }

    /// Creates it if it is missing, with mode 0600.
    pub fn or_create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Creates it with mode 0600; an existing file is an error.
    pub fn create_new(mut self) -> Self {
        self.create_new = true;
        self
    }

    /// Empties it.
    pub fn truncated(mut self) -> Self {
        self.truncate = true;
        self
    }
}
