//! Values from outside in messages for people: errors, log lines, reasons.
//!
//! Whoever sends a value chooses its length and its characters. Unbounded, it fills logs and terminals; with control
//! characters, it adds log lines of its own and colours or clears the terminal. Every message that repeats a value
//! takes it from here.

mod causes;
mod message;
mod parser;

pub use causes::causes;
pub use message::message;
pub use parser::parser_reason;

use std::fmt::Write as _;

/// Most characters of a value that a message repeats: longer than a key or a hash in hex, shorter than a line.
pub const MOST_CHARS: usize = 100;
/// Most characters of a sentence that another program wrote, such as the message of a node or a close reason. It is
/// more than one value, so that what it says behind the value is kept.
pub const MOST_REASON_CHARS: usize = 300;

/// The value in one line of at most [`MOST_CHARS`] characters, and an ellipsis if there are more. Control characters
/// are escaped as in Rust (`\n`, `\u{1b}`).
pub fn short(value: &str) -> String {
    cut(value, MOST_CHARS)
}

/// The same in quotation marks; those inside are escaped.
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len().min(MOST_CHARS) + 2);
    text.push('"');
    let mut chars = value.chars();
    for char in chars.by_ref().take(MOST_CHARS) {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            _ => push(&mut text, char),
        }
    }
    if chars.next().is_some() {
        text.push('…');
    }
    text.push('"');
    text
}

/// A sentence that another program wrote: in one line, of at most [`MOST_REASON_CHARS`] characters.
pub fn reason(text: &str) -> String {
    cut(text.trim(), MOST_REASON_CHARS)
}

/// Bytes that are probably text: what is not UTF-8 is replaced.
pub fn reason_of_bytes(bytes: &[u8]) -> String {
    // A character has at most four bytes.
    let start = bytes.get(..MOST_REASON_CHARS * 4).unwrap_or(bytes);
    reason(&String::from_utf8_lossy(start))
}

fn cut(value: &str, most: usize) -> String {
    let mut text = String::with_capacity(value.len().min(most));
    let mut chars = value.chars();
    for char in chars.by_ref().take(most) {
        push(&mut text, char);
    }
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Appends a character, escaped if it is not printable: control characters, line separators, and those that change
/// the direction of the text around them.
fn push(text: &mut String, char: char) {
    let changes_its_surroundings = matches!(char, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if char.is_control() || changes_its_surroundings {
        // Writing to a string cannot fail.
        _ = write!(text, "{}", char.escape_default());
    } else {
        text.push(char);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_values_are_kept_and_long_ones_cut_between_characters() {
        assert_eq!(short("münzen \"a\""), "münzen \"a\"");
        assert_eq!(quoted("a\\\"b"), "\"a\\\\\\\"b\"");
        let exact = "é".repeat(MOST_CHARS);
        assert_eq!(short(&exact), exact);
        assert_eq!(short(&format!("{exact}x")), format!("{exact}…"));
        assert_eq!(quoted(&format!("{exact}x")), format!("\"{exact}…\""));
    }

    #[test]
    fn a_value_adds_no_line_and_does_not_control_the_terminal() {
        assert_eq!(
            short("a\nb\r\t\u{1b}[2J\u{9b}\u{0}"),
            "a\\nb\\r\\t\\u{1b}[2J\\u{9b}\\u{0}"
        );
        assert_eq!(short("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
        assert_eq!(reason("  busy\n"), "busy");
        assert_eq!(reason_of_bytes(b"\xff\x1b"), "\u{fffd}\\u{1b}");
    }

    proptest! {
        #[test]
        fn bounded_whatever_comes(text in any::<String>(), times in 1usize..200) {
            let long = text.repeat(times);
            for (shown, most) in [(short(&long), MOST_CHARS), (quoted(&long), MOST_CHARS + 2), (reason(&long), MOST_REASON_CHARS)] {
                prop_assert!(!shown.chars().any(char::is_control));
                // An escape has at most 10 characters: \u{10ffff}.
                prop_assert!(shown.chars().count() <= most * 10 + 1);
            }
        }
    }
}
