//! Errors of the store, one type for each operation.

use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the store {0} is in use by another process")]
    InUse(PathBuf),
    /// It belongs to another network.
    #[error(
        "the store {path} was made for {found}, and the relay is configured for {wanted}: use another data_dir for {wanted}"
    )]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Network of the file.
        found: String,
        /// Network of the configuration.
        wanted: String,
    },
    /// It was written by a newer program.
    #[error("the store {path} has format {found}; this program reads format {readable}: use a newer program")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        found: u64,
        /// Newest format that this program reads.
        readable: u64,
    },
    /// Its content is not what was written there.
    #[error(
        "the store {path} is damaged, or no store of a relay ({reason}): move the file away and start again. A new one is made; clients that \
         resume are told of the gap, and take the blocks in between from the index"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("the store {path} cannot be opened: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed: disk full, I/O error, corruption.
    #[error("the store failed: {0}")]
    Database(Box<redb::Error>),
    /// The writer numbered its events wrongly: a fault of the program.
    #[error("event {found} was to be written where {expected} is next")]
    OutOfSequence {
        /// The number that the log expects.
        expected: u64,
        /// The number that the batch has.
        found: u64,
    },
    /// A record of the file cannot be read.
    #[error("a record of table {0} cannot be read")]
    Corrupt(&'static str),
}

/// redb has an error type for each operation; all of them convert to `redb::Error`.
impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}
