//! The lines of `check-config`.

use sdk_relay_console::say;

/// Prints the lines, and counts the failures.
#[derive(Debug, Default)]
pub(super) struct Report {
    failures: usize,
}

impl Report {
    /// A check that has passed.
    pub(super) fn good(&mut self, line: impl AsRef<str>) {
        say(&format!("✓ {}", line.as_ref()));
    }

    /// The relay works, but not as well as it could; or what was found.
    pub(super) fn note(&mut self, line: impl AsRef<str>) {
        say(&format!("! {}", line.as_ref()));
    }

    /// The relay does not work like this.
    pub(super) fn bad(&mut self, line: impl AsRef<str>) {
        self.failures += 1;
        say(&format!("✗ {}", line.as_ref()));
    }

    pub(super) fn failures(&self) -> usize {
        self.failures
    }
}
