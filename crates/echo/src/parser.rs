//! Messages of parsers, which quote the value that they refuse.

use crate::{MOST_REASON_CHARS, cut, short};

/// The message of serde or of a crate like it (`invalid type: string "…", expected u32`, `` unknown variant `…`,
/// expected one of … ``), with the quoted value shortened and what is expected kept.
pub fn parser_reason(message: &str) -> String {
    match quote(message) {
        Some((before, value, after)) => format!(
            "{}{}{}",
            cut(before, MOST_REASON_CHARS),
            short(value),
            cut(after, MOST_REASON_CHARS)
        ),
        None => cut(message, MOST_REASON_CHARS),
    }
}

/// The message up to its first quoted value, the value, and the rest. The value may contain anything, so that its end
/// is the last one that is possible.
fn quote(message: &str) -> Option<(&str, &str, &str)> {
    let (start, mark) = message.char_indices().find(|(_, char)| matches!(char, '"' | '`'))?;
    let (before, rest) = message.split_at(start + 1);
    let end = rest.rfind(&format!("{mark}, expected")).or_else(|| rest.rfind(mark))?;
    let (value, after) = rest.split_at(end);
    Some((before, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_cut_and_the_expectation_stays() {
        let long = "\u{1b}ab\", c`".repeat(2000);
        for (message, start, end) in [
            (
                format!("invalid type: string \"{long}\", expected u32"),
                "invalid type: string \"",
                "…\", expected u32",
            ),
            (
                format!("unknown variant `{long}`, expected one of `a`, `b`"),
                "unknown variant `",
                "…`, expected one of `a`, `b`",
            ),
            (format!("unknown field `{long}`"), "unknown field `", "…`"),
        ] {
            let shown = parser_reason(&message);
            assert!(shown.starts_with(start) && shown.ends_with(end), "{shown}");
            assert!(shown.chars().count() < 400 && !shown.contains('\u{1b}'), "{shown}");
        }
        let plain = "missing field `amount`";
        assert_eq!(parser_reason(plain), plain);
        assert!(parser_reason(&"x".repeat(10_000)).chars().count() <= MOST_REASON_CHARS + 1);
    }
}
