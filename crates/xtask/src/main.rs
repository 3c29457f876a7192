//! Checks of the source tree itself.
//!
//! ```text
//! cargo run -p xtask -- layers            fails on an import that the table of crates in docs/ARCHITECTURE.md
//!                                         does not allow, and on a new cycle of files inside a crate
//! cargo run -p xtask -- layers --update   removes the entries of cycles.txt that no longer exist, and renames
//!                                         those of moved files
//! cargo run -p xtask -- docs              fails on a broken link of a Markdown page, on a page by task whose French
//!                                         twin is missing or differs, and on a quoted message that no code has
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

mod docs;
mod layers;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: xtask layers [--update] | xtask docs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (name, checked) = match arguments[..] {
        ["layers"] => ("layers", layers::check(&root, false)),
        ["layers", "--update"] => ("layers", layers::check(&root, true)),
        ["docs"] => ("docs", docs::check(&root)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match checked {
        Ok(report) if report.problems.is_empty() => {
            println!("{name}: {}", report.summary);
            ExitCode::SUCCESS
        }
        Ok(report) => {
            for problem in &report.problems {
                eprintln!("{name}: {problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
