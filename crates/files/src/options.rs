//! How a file is opened.

use crate::access::Access;

/// How a file is opened. The default opens an existing file for reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open {
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) create_new: bool,
    pub(crate) truncate: bool,
    pub(crate) is_private: bool,
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

    /// Creates it if it is missing.
    pub fn or_create(mut self, access: Access) -> Self {
        self.create = true;
        self.is_private = access == Access::Owner;
        self
    }

    /// Creates it; an existing file is an error.
    pub fn create_new(mut self, access: Access) -> Self {
        self.create_new = true;
        self.is_private = access == Access::Owner;
        self
    }

    /// Empties it.
    pub fn truncated(mut self) -> Self {
        self.truncate = true;
        self
    }
}
