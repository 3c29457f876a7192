//! Files that no module declares: the compiler never reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::Item;

use super::files::{Place, Read, child_file};

/// The folders of a crate that have code.
const FOLDERS: [&str; 4] = ["src", "tests", "examples", "benches"];

/// One line for each file of the crate in `directory` that none of its `targets` declares.
pub(crate) fn check(directory: &Path, targets: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let declared = declared(targets, &|path| std::fs::read_to_string(path).ok())?;
    let mut files = Vec::new();
    for folder in FOLDERS {
        rust_files(&directory.join(folder), &mut files)?;
    }
    let undeclared = files.into_iter().filter(|file| !declared.contains(file));
    let problem = |file: PathBuf| {
        format!(
            "{} is compiled by nothing: declare it with `mod`, or remove it",
            file.display()
        )
    };
    Ok(undeclared.map(problem).collect())
}

/// The files of all modules below these roots, also of those that are for tests alone.
pub(super) fn declared(roots: &[PathBuf], read: Read<'_>) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for root in roots {
        add(root.clone(), &Place::of_root(root), read, &mut found)?;
    }
    Ok(found)
}

fn add(file: PathBuf, place: &Place, read: Read<'_>, found: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let text = read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let parsed = syn::parse_file(&text).with_context(|| format!("{} cannot be parsed", file.display()))?;
    found.insert(file);
    add_items(&parsed.items, place, read, found)
}

fn add_items(items: &[Item], place: &Place, read: Read<'_>, found: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for item in items {
        let Item::Mod(module) = item else { continue };
        if let Some((_, items)) = &module.content {
            add_items(items, &place.inside(&module.ident.to_string()), read, found)?;
        } else if let Some((file, place)) = child_file(place, module, read) {
            add(file, &place, read, found)?;
        }
        // The compiler reports a module without a file.
    }
    Ok(())
}

/// Adds every Rust file below the folder, if there is one.
fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
