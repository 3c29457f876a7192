//! Lines of the command line.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process;

/// Exit code of a program whose output nobody reads any more: that of a shell for SIGPIPE (128 + 13), which Rust
/// programs ignore.
const OUTPUT_CLOSED: i32 = 141;

/// Prints a line on standard output. If that is closed (`| head`), the process ends without a message; if it cannot be
/// written, as on a full disk, with one. For commands: a relay uses [`say_if_possible`].
pub fn say(text: &str) {
    match line(&mut io::stdout().lock(), text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(OUTPUT_CLOSED),
        Err(error) => {
            say_error(&format!("sdk_relay: cannot write to standard output: {error}"));
            process::exit(1)
        }
    }
}

/// Prints a line on standard output, unless that is closed or cannot be written.
pub fn say_if_possible(text: &str) {
    if let Err(error) = line(&mut io::stdout().lock(), text) {
        tracing::debug!(%error, "cannot write to standard output");
    }
}

/// Prints a line on standard error, unless that is closed: there is no other place for it, and the exit code says that
/// a command has failed.
pub fn say_error(text: &str) {
    drop(line(&mut io::stderr().lock(), text));
}

/// Prints a warning on standard error, for what the log does not show.
pub fn say_warning(warning: impl Display) {
    say_error(&format!("sdk_relay: warning: {warning}"));
}

/// In one piece, so that lines of threads do not mix.
fn line(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_output_is_an_error_and_no_panic() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(line(&mut writer, "text").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let (reader, mut writer) = io::pipe().unwrap();
        line(&mut writer, "text").unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(reader).unwrap(), "text\n");
    }
}
