//! Result of a bench: tables, and the same figures as JSON.
#![allow(clippy::print_stdout, reason = "the report is the output of this program")]

use std::fmt;

use serde_json::Value;

/// Result of a bench.
#[derive(Debug)]
pub(crate) struct Report {
    /// Title: what was measured, and on what.
    pub(crate) title: String,
    /// The figures.
    pub(crate) tables: Vec<Table>,
    /// All figures, with their units in the names.
    pub(crate) json: Value,
}

impl Report {
    /// To standard output; the JSON is the last line.
    pub(crate) fn print(&self, json: bool) {
        println!("{}", self.title);
        if cfg!(debug_assertions) {
            println!("(unoptimised build: the figures are meaningless; use cargo run --release)");
        }
        for table in &self.tables {
            println!("\n{table}");
        }
        if json {
            println!("{}", self.json);
        }
    }
}

/// Rows of text below a header, the first column to the left and the others to the right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row: its name, and a number for each further column.
    pub(crate) fn row(mut self, name: &str, numbers: &[f64], decimals: usize) -> Self {
        let numbers = numbers.iter().map(|n| match n.is_nan() {
            true => "-".to_owned(),
            false => format!("{n:.decimals$}"),
        });
        self.rows
            .push(std::iter::once(name.to_owned()).chain(numbers).collect());
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (n, row) in self.rows.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let table = Table::new(["ms", "p50", "max"])
            .row("bare", &[1.0, 12.25], 2)
            .row("a client", &[1.5, -3.0], 2);
        let text = "ms         p50    max\nbare      1.00  12.25\na client  1.50  -3.00";
        assert_eq!(table.to_string(), text);
    }
}
