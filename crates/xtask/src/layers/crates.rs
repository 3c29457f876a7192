//! The imports between the crates of the workspace.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use super::table::{TABLE, Table};

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its folder's name below `crates/`, which the table calls it by.
    pub(crate) folder: String,
    /// Its folder.
    pub(crate) directory: PathBuf,
    /// The files of its library and its programs.
    pub(crate) roots: Vec<PathBuf>,
    /// The first files of everything that cargo builds of it: also of tests, examples and benchmarks.
    pub(crate) targets: Vec<PathBuf>,
    /// What its manifest names of the workspace.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency of a crate on another of the workspace.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The other crate's folder.
    pub(crate) folder: String,
    /// Whether only tests have it.
    pub(crate) dev: bool,
}

/// The members of the workspace, from the output of `cargo metadata --no-deps`.
pub(crate) fn parse(metadata: &Value) -> anyhow::Result<Vec<Crate>> {
    let packages = metadata["packages"].as_array().context("`packages` is missing")?;
    packages.iter().map(package).collect()
}

fn package(package: &Value) -> anyhow::Result<Crate> {
    let manifest = package["manifest_path"]
        .as_str()
        .context("`manifest_path` is missing")?;
    let directory = PathBuf::from(manifest)
        .parent()
        .context("a manifest in a folder")?
        .to_owned();
    let folder = folder(&directory)?;
    let (mut roots, mut targets) = (Vec::new(), Vec::new());
    for target in package["targets"].as_array().into_iter().flatten() {
        let Some(path) = target["src_path"].as_str().map(PathBuf::from) else {
            continue;
        };
        if let Some("lib" | "bin" | "rlib" | "proc-macro") = target["kind"][0].as_str() {
            roots.push(path.clone());
        }
        targets.push(path);
    }
    let mut dependencies = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        // Only what is given by its path is of the workspace.
        let Some(path) = dependency["path"].as_str() else {
            continue;
        };
        let dependency = Dependency {
            folder: self::folder(&PathBuf::from(path))?,
            dev: dependency["kind"] == "dev",
        };
        dependencies.push(dependency);
    }
    Ok(Crate {
        folder,
        directory,
        roots,
        targets,
        dependencies,
    })
}

fn folder(directory: &std::path::Path) -> anyhow::Result<String> {
    let name = directory.file_name().context("a crate in a folder")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The violations of the table, one line each.
pub(crate) fn check(table: &Table, crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates {
        let Some(row) = table.get(&one.folder) else {
            problems.push(format!(
                "crates/{} has no row in the table of {TABLE}: add it with its layer",
                one.folder
            ));
            continue;
        };
        for dependency in &one.dependencies {
            let other = &dependency.folder;
            // A crate's tests may name the crate itself, for its features; one without a row is reported by itself.
            let Some(its) = table.get(other).filter(|_| *other != one.folder) else {
                continue;
            };
            let reason = match (row.layer, its.layer) {
                // Tools import everything.
                (None, _) => None,
                // Tests of every crate may use the tools.
                (Some(_), None) if dependency.dev => None,
                (Some(_), None) => Some("which is a tool: only tests and tools may".to_owned()),
                (Some(mine), Some(theirs)) if theirs > mine => Some(format!(
                    "which is above it (layer {theirs} above {mine}): move what is needed down, or hand it in through a trait"
                )),
                (Some(mine), Some(theirs)) if theirs == mine && !row.beside.contains(other) => Some(format!(
                    "which is beside it (layer {mine}): the column `may import of its layer` does not name it"
                )),
                _ => None,
            };
            if let Some(reason) = reason {
                problems.push(format!("crates/{} imports crates/{other}, {reason}", one.folder));
            }
        }
    }
    for name in table.keys() {
        if !crates.iter().any(|one| one.folder == *name) {
            problems.push(format!(
                "the table of {TABLE} names `{name}`, which is not in crates/: remove the row"
            ));
        }
    }
    problems
}
