//! Lines of the command line.

use std::fmt::Display;

/// Prints a line on standard output.
#[allow(clippy::print_stdout, reason = "this is the command line")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints a line on standard error.
#[allow(clippy::print_stderr, reason = "this is the command line")]
pub fn say_error(text: &str) {
    eprintln!("{text}");
}

/// Prints a warning on standard error, for what the log does not show.
pub fn say_warning(warning: impl Display) {
    say_error(&format!("sdk_relay: warning: {warning}"));
}
