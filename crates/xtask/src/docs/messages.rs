//! Messages that pages quote.

use std::path::{Component, Path, PathBuf};

use super::page::Pages;

/// Stands for a value in a quoted message.
const VALUE: char = '…';
/// Fewer characters without values are found by chance.
const LEAST: usize = 12;

/// The lines of the program's source, without its tests, with the literals that continue over several lines joined.
pub(super) struct Sources(Vec<String>);

impl Sources {
    pub(super) fn new(files: &[(PathBuf, String)]) -> Self {
        let of_program = files.iter().filter(|(path, _)| is_of_program(path));
        let lines = of_program.flat_map(|(_, text)| {
            let lines: Vec<String> = joined(without_tests(text)).lines().map(str::to_owned).collect();
            lines
        });
        Self(
            lines
                .filter(|line| line.contains('"') && !line.trim_start().starts_with("//"))
                .collect(),
        )
    }

    /// Whether a line has all parts of the message, in order.
    fn have(&self, message: &str) -> bool {
        self.0.iter().any(|line| {
            let mut rest = line.as_str();
            message.split(VALUE).all(|part| match rest.split_once(part) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        })
    }
}

/// The number of quoted messages, and a problem for each that is not in the source.
pub(super) fn check(pages: &Pages, sources: &Sources) -> (usize, Vec<String>) {
    let mut problems = Vec::new();
    let mut quoted = 0;
    for (file, page) in pages {
        for (line, message) in &page.messages {
            quoted += 1;
            let at = format!("{}:{line}", file.display());
            if message.chars().filter(|c| *c != VALUE).count() < LEAST {
                problems.push(format!("{at}: quote more of the message {message:?}"));
            } else if !sources.have(message) {
                problems.push(format!("{at}: no line of the program has the message {message:?}"));
            }
        }
    }
    (quoted, problems)
}

/// Whether the file is compiled into the program: neither a test nor a tool.
fn is_of_program(path: &Path) -> bool {
    let is = |names: &[&str]| {
        path.components()
            .any(|part| matches!(part, Component::Normal(name) if names.iter().any(|n| name == *n)))
    };
    path.starts_with("crates") && !is(&["tests", "tests.rs", "testkit", "bench", "mesh-sim", "xtask", "testing"])
}

/// The file up to its module of tests. Modules of tests in files of their own are only declared.
fn without_tests(text: &str) -> &str {
    const TESTS: &str = "\n#[cfg(test)]\nmod ";
    let inline = text.match_indices(TESTS).find(|(at, _)| {
        let declaration = text[at + TESTS.len()..].lines().next();
        declaration.is_some_and(|line| line.ends_with('{'))
    });
    inline.map_or(text, |(at, _)| &text[..at])
}

/// Removes the line breaks after a backslash, with the indentation behind them, and the backslashes before quotes.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    let whole = parts.fold(first, |whole, part| whole + part.trim_start());
    whole.replace("\\\"", "\"")
}
