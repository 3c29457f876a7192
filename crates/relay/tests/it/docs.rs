//! The programs and commands of the pages by task, run against a relay. The command lines and settings of all pages are
//! checked by the tests of the crate `cli`.

mod clients;
mod first_payment;
mod production;
mod scanning;

use std::path::Path;

/// Keys that the pages show.
const SCAN_KEY: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND_KEY: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

/// The code block of a page with these words after its fence.
fn block(page: &str, words: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let fence = format!("```{words}\n");
    let (_, rest) = text
        .split_once(&fence)
        .unwrap_or_else(|| panic!("docs/{page} has no block {words:?}"));
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}
