//! Lines of the command line.

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
