//! Errors of the index.

use std::path::{Path, PathBuf};

use bitcoin::BlockHash;

use crate::db::is_damage;

/// Why the index cannot be read or written. A failed write has no effect.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The database failed: disk full, I/O error, corruption.
    #[error("the tweak index failed: {0}")]
    Database(Box<redb::Error>),
    /// Its database is damaged, or not a tweak index.
    #[error("the file {path} of the tweak index is damaged, or not a tweak index: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Error of the database.
        reason: String,
    },
    /// Its database is in use, or cannot be read.
    #[error("cannot open the file {path} of the tweak index ({reason}): {todo}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Error of the database.
        reason: String,
        /// Advice for the operator.
        todo: &'static str,
    },
    /// A segment failed.
    #[error("the tweak index: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The bytes of a block are not those that were written.
    #[error("block {height} of the tweak index in {dir} is damaged, and must be restored from the node")]
    Corrupt {
        /// Height of the block.
        height: u32,
        /// Directory of the index.
        dir: PathBuf,
    },
    /// A block is missing between two others.
    #[error("block {missing} is missing in the tweak index in {dir}: the relay builds the index again from the node")]
    Incomplete {
        /// Directory of the index.
        dir: PathBuf,
        /// Height of the block.
        missing: u32,
    },
    /// It belongs to another network.
    #[error(
        "the tweak index in {dir} was made for {found}, and the relay is configured for {wanted}: use another data_dir"
    )]
    OtherNetwork {
        /// Directory of the index.
        dir: PathBuf,
        /// Network of the index.
        found: String,
        /// Network of the configuration.
        wanted: String,
    },
    /// It was written by a newer program.
    #[error("the tweak index in {dir} has format {found}; this program reads format {readable}: use a newer program")]
    NewerFormat {
        /// Directory of the index.
        dir: PathBuf,
        /// Format of the index.
        found: u64,
        /// Newest format that this program reads.
        readable: u64,
    },
    /// The block to be written does not connect to the tip: a bug in the relay.
    #[error("block {height} ({hash}) does not connect to the tip of the tweak index")]
    NotNext {
        /// Height of the block.
        height: u32,
        /// Its hash.
        hash: BlockHash,
    },
}

impl IndexError {
    pub(super) fn opening(path: &Path, error: redb::Error) -> Self {
        let todo = match &error {
            redb::Error::DatabaseAlreadyOpen => "another process is using it: stop it, or use another data_dir",
            error if is_damage(error) => {
                return Self::Damaged {
                    path: path.to_owned(),
                    reason: error.to_string(),
                };
            }
            _ => "check the disk of data_dir",
        };
        Self::Unusable {
            path: path.to_owned(),
            reason: error.to_string(),
            todo,
        }
    }

    /// Whether the whole database is damaged: the index must be rebuilt.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Incomplete { .. } => true,
            Self::Database(error) => is_damage(error),
            _ => false,
        }
    }

    /// The reason, for a message that already names the file.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Damaged { reason, .. } => reason.clone(),
            Self::Database(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}

/// redb has an error type for each operation; all of them convert to `redb::Error`.
impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}
