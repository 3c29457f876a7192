//! The Markdown pages: their links, the French pages, and the messages that they quote.
//!
//! Every relative link leads to a file of the tree, and its fragment to a heading ([`links`]). Every page by task has a
//! French twin ([`twins`]). Every message of a table of messages is one of the program ([`messages`]).

mod links;
mod messages;
mod page;
#[cfg(test)]
mod tests;
mod twins;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use self::messages::Sources;
use self::page::{Page, Pages};
use crate::layers::Report;

/// Checks the pages of the repository at `root`.
pub(crate) fn check(root: &Path) -> anyhow::Result<Report> {
    let files = files(root)?;
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()));
        Ok((file.clone(), text?))
    };
    let with_extension = |extension: &'static str| {
        files
            .iter()
            .filter(move |file| file.extension().is_some_and(|found| found == extension))
            .map(read)
    };
    let pages: Pages = with_extension("md")
        .map(|page| page.map(|(path, text)| (path, Page::parse(&text))))
        .collect::<anyhow::Result<_>>()?;
    let sources: Vec<(PathBuf, String)> = with_extension("rs").collect::<anyhow::Result<_>>()?;
    let sources = Sources::new(&sources);

    let mut problems = links::check(&pages, &|path| root.join(path).exists());
    problems.extend(twins::check(&pages));
    let (quoted, wrong) = messages::check(&pages, &sources);
    problems.extend(wrong);
    let links: usize = pages.values().map(|page| page.links.len()).sum();
    let summary = format!("{} pages, {links} links, {quoted} messages", pages.len());
    Ok(Report { problems, summary })
}

/// The files of the tree, those included that are not committed yet.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    anyhow::ensure!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr).trim()
    );
    let names = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // A removed file is listed until the removal is staged.
    Ok(names.filter(|file| root.join(file).is_file()).collect())
}
