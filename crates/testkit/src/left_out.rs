//! Tests that need what a machine may lack: they fail without it, unless the caller leaves them out by name.

use std::path::PathBuf;

/// Environment variable with the names of what is left out, separated by spaces.
const WITHOUT: &str = "WITHOUT";

/// Whether `WITHOUT` has this name. Where it has not, the test runs, and fails if it cannot.
#[expect(clippy::print_stderr, reason = "nobody is to take the test for run")]
pub fn is_left_out(name: &str) -> bool {
    let left_out = std::env::var(WITHOUT).is_ok_and(|names| names.split_whitespace().any(|n| n == name));
    if left_out {
        eprintln!("NOT RUN: {WITHOUT} has {name}");
    }
    left_out
}

/// The file that an environment variable names; `None` where `WITHOUT` has the name.
///
/// # Panics
///
/// If neither is set, or there is no such file.
pub fn needed_file(variable: &str, name: &str) -> Option<PathBuf> {
    if is_left_out(name) {
        return None;
    }
    let path = std::env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set: name the file, or leave its tests out with {WITHOUT}={name}")
    });
    let path = PathBuf::from(path);
    assert!(path.is_file(), "{variable}: no file {}", path.display());
    Some(path)
}
