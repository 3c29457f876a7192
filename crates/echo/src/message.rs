//! Whole messages for a terminal.

use crate::{MOST_REASON_CHARS, cut};

/// A message of several lines, as a last guard before the terminal: control characters other than line breaks are
/// escaped, and words are cut that are longer than any path or URL that a person uses.
pub fn message(text: &str) -> String {
    let word = |word: &str| cut(word, MOST_REASON_CHARS);
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_blanks_stay_and_long_words_are_cut() {
        let text = "2 settings are wrong:\n  a: b;\n  c";
        assert_eq!(message(text), text);
        assert_eq!(message("a\u{1b}[2J b\r"), "a\\u{1b}[2J b\\r");
        let shown = message(&format!("cannot read {}: denied", "x".repeat(10_000)));
        assert!(shown.chars().count() < 400 && shown.ends_with("x… denied"), "{shown}");
    }
}
