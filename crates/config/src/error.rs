//! Why a configuration is refused.

/// Why a configuration is refused: origin, key, value, and expectation.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file is not usable: {reason}; name a file that this user may read with --config")]
    Unreadable {
        /// What was tried with the file, and the error of the operating system.
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
    /// More than one key or value is wrong.
    #[error("{} settings are wrong:{}", .0.len(), lines(.0))]
    Several(Vec<Self>),
}

impl ConfigError {
    pub(crate) fn unreadable(error: std::io::Error) -> Self {
        Self::Unreadable {
            reason: error.to_string(),
        }
    }

    /// The error that has all of these, in the order of files and lines; none for none.
    pub(crate) fn all_of(mut wrong: Vec<Self>) -> Result<(), Self> {
        wrong.sort_by_key(Self::place);
        match wrong.len() {
            0 | 1 => wrong.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(wrong)),
        }
    }

    /// Each value that is wrong, with its key and what would be right; `None` if anything else is wrong.
    pub fn wrong_values(&self) -> Option<Vec<(&str, &str)>> {
        match self {
            Self::Value { key, expected, .. } => Some(vec![(key, expected)]),
            Self::Several(wrong) => {
                let values: Option<Vec<_>> = wrong.iter().map(Self::wrong_values).collect();
                values.map(|values| values.concat())
            }
            Self::Unreadable { .. } | Self::Syntax { .. } => None,
        }
    }

    /// The file, variable or flag, and the line.
    fn place(&self) -> (String, usize) {
        let origin = match self {
            Self::Value { origin, .. } | Self::Syntax { origin, .. } => origin,
            Self::Unreadable { .. } | Self::Several(_) => return (String::new(), 0),
        };
        let line = |text: &str| text.parse().ok();
        match origin.rsplit_once(':').map(|(file, text)| (file, line(text))) {
            Some((file, Some(line))) => (file.to_owned(), line),
            _ => (origin.clone(), 0),
        }
    }
}

/// A line for each error. Joined with blanks, the lines are one sentence.
fn lines(errors: &[ConfigError]) -> String {
    let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
    lines.join(";")
}
