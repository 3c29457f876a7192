//! Failed part of the relay.

use std::fmt;

/// A part of the relay that ended unexpectedly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub part: &'static str,
    /// Whether it panicked.
    pub panicked: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.panicked { "panicked" } else { "ended by itself" };
        write!(f, "the relay's part {:?} {how}", self.part)
    }
}
