//! Checks of the source tree itself.
//!
//! ```text
//! cargo run -p xtask -- layers            fails on an import that the table of crates in docs/ARCHITECTURE.md
//!                                         does not allow, and on a new cycle of files inside a crate
//! cargo run -p xtask -- layers --update   removes the entries of cycles.txt that no longer exist, and renames
//!                                         those of moved files
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

mod layers;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: xtask layers [--update]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let update = match arguments[..] {
        ["layers"] => false,
        ["layers", "--update"] => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match layers::check(&root, update) {
        Ok(report) if report.problems.is_empty() => {
            println!("layers: {}", report.summary);
            ExitCode::SUCCESS
        }
        Ok(report) => {
            for problem in &report.problems {
                eprintln!("layers: {problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("layers: {error:#}");
            ExitCode::FAILURE
        }
    }
}
