//! The table of crates in `docs/ARCHITECTURE.md`.
//!
//! ```text
//! | layer | crate | may import of its layer | what it is |
//! |---|---|---|---|
//! | 1 | `protocol` | | wire types |
//! | 3 | `devchain` | `chain` | the development chain |
//! | – | `testkit` | | a tool: may import everything, and is imported by tests and tools only |
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;

/// The document, from the workspace's root.
pub(crate) const TABLE: &str = "docs/ARCHITECTURE.md";

/// The first three columns of the table's header, by which it is found.
const HEADER: [&str; 3] = ["layer", "crate", "may import of its layer"];

/// The folder name of a crate below `crates/`, and its row.
pub(crate) type Table = BTreeMap<String, Row>;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// 1 is the lowest. `None` for tools: tests, measurements, checks.
    pub(crate) layer: Option<u32>,
    /// Crates of the same layer that it may import.
    pub(crate) beside: BTreeSet<String>,
}

/// Reads the table out of the document.
pub(crate) fn parse(document: &str) -> anyhow::Result<Table> {
    let mut lines = document.lines().map(cells);
    lines
        .find(|cells| cells.len() > HEADER.len() && cells[..HEADER.len()] == HEADER)
        .with_context(|| format!("there is no table that begins with the columns {}", HEADER.join(", ")))?;
    let mut table = Table::new();
    // The line after the header is the one of dashes.
    for cells in lines.skip(1).take_while(|cells| cells.len() > HEADER.len()) {
        let layer = match cells[0] {
            "–" | "-" => None,
            number => Some(
                number
                    .parse()
                    .with_context(|| format!("`{number}` is not a layer: write a number, or – for a tool"))?,
            ),
        };
        for name in names(cells[1]) {
            let beside = names(cells[2]).map(str::to_owned).collect();
            let twice = table.insert(name.to_owned(), Row { layer, beside });
            anyhow::ensure!(twice.is_none(), "`{name}` has two rows");
        }
    }
    Ok(table)
}

fn cells(line: &str) -> Vec<&str> {
    match line.trim().strip_prefix('|') {
        Some(row) => row.trim_end_matches('|').split('|').map(str::trim).collect(),
        None => Vec::new(),
    }
}

/// What stands between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
