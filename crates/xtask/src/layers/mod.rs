//! The imports between crates, and between the files of each crate, and that each file belongs to a crate.
//!
//! Between crates the table of `docs/ARCHITECTURE.md` decides ([`table`]); inside a crate files may not import each
//! other in a cycle, except for the edges that `cycles.txt` lists ([`baseline`]). A file that no module declares is not
//! compiled ([`undeclared`]).

mod baseline;
mod crates;
mod cycles;
mod files;
mod imports;
mod module;
mod resolve;
mod system;
mod table;
#[cfg(test)]
mod tests;
mod undeclared;
mod visitor;

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use self::baseline::{BASELINE, Baseline};
use self::table::TABLE;

/// What a check found.
#[derive(Debug)]
pub(crate) struct Report {
    /// One line for each violation, with what to do. Empty: the tree is as it must be.
    pub(crate) problems: Vec<String>,
    /// What was looked at, in a line.
    pub(crate) summary: String,
}

/// Checks the workspace at `root`. With `update` the baseline is rewritten, unless it would grow.
pub(crate) fn check(root: &Path, update: bool) -> anyhow::Result<Report> {
    let table = std::fs::read_to_string(root.join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let table = table::parse(&table).with_context(|| format!("the table of crates in {TABLE}"))?;
    let crates = crates::parse(&metadata(root)?)?;
    let mut problems = crates::check(&table, &crates);

    let baseline = root.join(BASELINE);
    let accepted = std::fs::read_to_string(&baseline).with_context(|| format!("cannot read {BASELINE}"))?;
    let accepted = Baseline::parse(&accepted)?;
    let mut found = Vec::new();
    let mut files = 0;
    for one in &crates {
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let imports = imports::of(&one.roots, &read)?;
        // `platform` is where it comes from; tools measure and test.
        if one.folder != "platform" && table.get(&one.folder).is_some_and(|row| row.layer.is_some()) {
            problems.extend(system::check(&one.folder, &one.roots, &read)?);
        }
        files += imports.files();
        found.extend(cycles::edges(&one.folder, &one.directory, &imports));
        problems.extend(undeclared::check(&one.directory, &one.targets)?);
    }
    if update {
        match accepted.updated(&found) {
            Ok(text) => std::fs::write(&baseline, text).with_context(|| format!("cannot write {BASELINE}"))?,
            Err(problem) => problems.push(problem),
        }
    } else {
        problems.extend(accepted.compare(&found));
    }
    let summary = format!(
        "{} crates, {files} files, {} imports on cycles",
        crates.len(),
        found.len()
    );
    Ok(Report { problems, summary })
}

/// The metadata of the workspace members, from cargo.
fn metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo cannot be started")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the output of cargo metadata")
}
