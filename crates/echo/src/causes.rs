//! An error with its causes.

use std::error::Error;

/// The error and what caused it, in one line, each part once: some libraries repeat the cause in their own message, and
/// others leave it to the chain.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = joined(text, &error.to_string());
        cause = error.source();
    }
    text
}

/// Appends the cause, without what the text has of it already.
fn joined(mut text: String, cause: &str) -> String {
    if cause.is_empty() || text.contains(cause) {
        return text;
    }
    // "cannot write x" and "cannot write x: disk full", also at the end of the text.
    let ends = text.match_indices(SEPARATOR).map(|(at, _)| at + SEPARATOR.len());
    let common = std::iter::once(0).chain(ends).find(|start| {
        text.get(*start..).is_some_and(|end| {
            cause
                .strip_prefix(end)
                .is_some_and(|rest| rest.starts_with([':', ';', ' ', ',']))
        })
    });
    match common {
        Some(start) => text.truncate(start),
        None => text.push_str(SEPARATOR),
    }
    text.push_str(cause);
    text
}

const SEPARATOR: &str = ": ";

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Chain(&'static str, Option<Box<Self>>);

    impl fmt::Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Chain {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_part_is_there_once() {
        for (parts, expected) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a: b", "b", "c"], "a: b: c"),
            (&["a: b: c", "b: c", "c"], "a: b: c"),
            (
                &["cannot write x", "cannot write x: full", "full"],
                "cannot write x: full",
            ),
            (
                &["start: cannot write x", "cannot write x: full"],
                "start: cannot write x: full",
            ),
            // The same beginning by chance.
            (&["in", "invalid"], "in: invalid"),
            (&["a", ""], "a"),
        ] {
            let chain = parts
                .iter()
                .rev()
                .fold(None, |cause, text| Some(Box::new(Chain(text, cause))));
            assert_eq!(causes(&*chain.unwrap()), expected, "{parts:?}");
        }
    }
}
