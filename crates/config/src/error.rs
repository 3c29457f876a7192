//! Why a configuration is refused.

use std::path::PathBuf;

/// Why a configuration is refused: origin, key, value, and expectation.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file of `--config` cannot be read.
    #[error("cannot read the configuration file {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        reason: String,
    },
    /// One value is wrong.
    #[error("{origin}: {key} = {found}: {expected}")]
    Value {
        /// The file or the variable.
        origin: String,
        /// The key, with dots between levels.
        key: String,
        /// The value as written; never that of a secret.
        found: String,
        /// The expectation.
        expected: String,
    },
    /// A layer cannot be parsed.
    #[error("{origin}: {reason}")]
    Syntax {
        /// The file or the variable.
        origin: String,
        /// The reason.
        reason: String,
    },
}
