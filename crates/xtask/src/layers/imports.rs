//! The imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::files::Read;
use super::module;
use super::resolve::{Target, resolve};

/// Which file imports which, and through what path.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    files: BTreeSet<PathBuf>,
    /// Importing file, imported file, a path that is written for it.
    edges: BTreeMap<(PathBuf, PathBuf), String>,
}

impl Imports {
    /// How many files were read.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// Every import of another file.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&PathBuf, &PathBuf, &str)> {
        self.edges.iter().map(|((from, to), path)| (from, to, path.as_str()))
    }
}

/// The imports of a crate with these root files (its library and its programs).
///
/// A path counts for the file that defines what it names, through re-exports. A re-export by itself (`pub use`) is no
/// import, nor is `mod`; code below `#[cfg(test)]` is left out. Methods and fields are not seen: they need no path.
pub(crate) fn of(roots: &[PathBuf], read: Read<'_>) -> anyhow::Result<Imports> {
    let mut imports = Imports::default();
    for root in roots {
        let modules = module::parse(root, read)?;
        for (index, module) in modules.iter().enumerate() {
            imports.files.insert(module.file.clone());
            for path in &module.content.references {
                let file = match resolve(&modules, index, path) {
                    Some(Target::Item(target)) => &modules[target].file,
                    // A module alone is no import: what is named in it is.
                    Some(Target::Module(target)) if path.last().is_some_and(|last| last == "*") => {
                        &modules[target].file
                    }
                    _ => continue,
                };
                if *file != module.file {
                    let edge = (module.file.clone(), file.clone());
                    imports.edges.entry(edge).or_insert_with(|| path.join("::"));
                }
            }
        }
    }
    Ok(imports)
}
