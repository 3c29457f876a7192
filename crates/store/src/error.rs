//! Errors of the store: one type per operation.

use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
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
    /// The file is damaged, or not a store.
    #[error(
        "the store {path} is damaged, or not the store of a relay ({reason}): move the file away and start the relay. It creates a new store; \
         clients that resume get a gap, and can read the blocks in between from the index"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Error of the database.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("cannot open the store {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        reason: String,
    },
}

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed: disk full, I/O error, corruption.
    #[error("the store failed: {0}")]
    Database(Box<redb::Error>),
    /// The batch has a wrong event id: a bug in the relay.
    #[error("wrong event id {found}: expected {expected}")]
    OutOfSequence {
        /// The id that the log expects.
        expected: u64,
        /// The id in the batch.
        found: u64,
    },
    /// A record of the file cannot be decoded.
    #[error("cannot decode a record of table {0}")]
    Corrupt(&'static str),
}

/// redb has an error type for each operation; all of them convert to `redb::Error`.
impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}
