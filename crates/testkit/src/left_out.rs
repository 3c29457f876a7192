//! Tests with special requirements: they fail if a requirement is missing, unless the caller skips them by name.

use std::path::PathBuf;

/// Environment variable with the names of skipped requirements, separated by spaces.
const WITHOUT: &str = "WITHOUT";

/// Whether `WITHOUT` contains this name. If not, the test runs, and fails if it cannot.
#[expect(clippy::print_stderr, reason = "the skipped test must not look like a passed one")]
pub fn is_left_out(name: &str) -> bool {
    let left_out = std::env::var(WITHOUT).is_ok_and(|names| names.split_whitespace().any(|n| n == name));
    if left_out {
        eprintln!("NOT RUN: {WITHOUT} has {name}");
    }
    left_out
}

/// The file in an environment variable; `None` if `WITHOUT` contains the name.
///
/// # Panics
///
/// If neither is set, or there is no such file.
pub fn needed_file(variable: &str, name: &str) -> Option<PathBuf> {
    if is_left_out(name) {
        return None;
    }
    let path = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: name the file, or skip its tests with {WITHOUT}={name}"));
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{variable}: no file {}", path.display());
    Some(path)
}
