//! The imports on cycles that are accepted for now: `cycles.txt`, one entry for each line, which may only shrink.

use std::collections::BTreeSet;

use super::cycles::Edge;

/// The file, from the workspace's root.
pub(crate) const BASELINE: &str = "crates/xtask/cycles.txt";

const HEADER: &str = "\
# Imports that lie on a cycle of files inside a crate: scripts/layers accepts these and no others.
# The list may only shrink. After files have moved, or a cycle is gone: scripts/layers --update
";

/// The entries of the file.
#[derive(Debug)]
pub(crate) struct Baseline {
    entries: BTreeSet<String>,
}

impl Baseline {
    /// Reads the file's text. Lines that begin with `#` are comments.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Baseline> {
        let mut entries = BTreeSet::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            anyhow::ensure!(
                line.contains(": ") && line.contains(" -> "),
                "{BASELINE}: `{line}` is not of the form `crate: file -> file`"
            );
            entries.insert(line.to_owned());
        }
        Ok(Baseline { entries })
    }

    /// What differs, one line each: an import that is not listed, an entry that is no import on a cycle.
    pub(crate) fn compare(&self, found: &[Edge]) -> Vec<String> {
        let present: BTreeSet<&str> = found.iter().map(|edge| edge.entry.as_str()).collect();
        let new = found.iter().filter(|edge| !self.entries.contains(&edge.entry));
        let new = new.map(|edge| {
            format!(
                "a new cycle of files: {} (it names `{}`; the way back: {})",
                edge.entry, edge.path, edge.back
            )
        });
        let gone = self.entries.iter().filter(|entry| !present.contains(entry.as_str()));
        let gone = gone
            .map(|entry| format!("{BASELINE}: `{entry}` is no longer on a cycle: remove it (scripts/layers --update)"));
        new.chain(gone).collect()
    }

    /// The file's text for what is there now, or why it stays as it is: it may not grow.
    pub(crate) fn updated(&self, found: &[Edge]) -> Result<String, String> {
        if found.len() > self.entries.len() {
            let mut problem = format!(
                "{BASELINE} has {} entries and would have {}: it may only shrink",
                self.entries.len(),
                found.len()
            );
            for new in self.compare(found) {
                problem.push_str("\n  ");
                problem.push_str(&new);
            }
            return Err(problem);
        }
        let entries: BTreeSet<&str> = found.iter().map(|edge| edge.entry.as_str()).collect();
        let mut text = HEADER.to_owned();
        for entry in entries {
            text.push_str(entry);
            text.push('\n');
        }
        Ok(text)
    }
}
