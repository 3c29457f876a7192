//! Why a configuration is refused.

use std::path::PathBuf;

/// Why a configuration is refused: where, which key, which value, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that `--config` names is not there.
    #[error("cannot read the configuration file {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// One value is wrong.
    #[error("{origin}: {key} = {found}: {expected}")]
    Value {
        /// The file or the variable.
        origin: String,
        /// The key, with dots between levels.
        key: String,
        /// The value as it stands there; never that of a secret.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// The layers cannot be read at all.
    #[error("{origin}: {reason}")]
    Syntax {
        /// The file or the variable.
        origin: String,
        /// What is wrong.
        reason: String,
    },
}
