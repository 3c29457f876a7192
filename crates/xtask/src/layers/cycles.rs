//! The imports that lie on a cycle of files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::imports::Imports;

/// An import that lies on a cycle.
#[derive(Debug)]
pub(crate) struct Edge {
    /// `crate: from -> to`, with paths below the crate's folder: the entry of the baseline.
    pub(crate) entry: String,
    /// A path that the importing file is written with.
    pub(crate) path: String,
    /// The way back, by files.
    pub(crate) back: String,
}

/// The imports of a crate that lie on a cycle, sorted.
pub(crate) fn edges(folder: &str, directory: &Path, imports: &Imports) -> Vec<Edge> {
    let mut graph: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for (from, to, _) in imports.edges() {
        graph.entry(from).or_default().insert(to);
    }
    let shown = |file: &Path| {
        let file = file.strip_prefix(directory).unwrap_or(file);
        file.display().to_string()
    };
    let mut edges = Vec::new();
    for (from, to, path) in imports.edges() {
        if let Some(back) = way(&graph, to, from) {
            let back: Vec<String> = back.into_iter().map(|file| shown(file)).collect();
            edges.push(Edge {
                entry: format!("{folder}: {} -> {}", shown(from), shown(to)),
                path: path.to_owned(),
                back: back.join(" -> "),
            });
        }
    }
    edges
}

/// A shortest way from one file to another.
fn way<'a>(
    graph: &BTreeMap<&'a PathBuf, BTreeSet<&'a PathBuf>>,
    from: &'a PathBuf,
    to: &'a PathBuf,
) -> Option<Vec<&'a PathBuf>> {
    let mut before = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut way = vec![file];
            let mut at = file;
            while let Some(&Some(previous)) = before.get(at) {
                way.push(previous);
                at = previous;
            }
            way.reverse();
            return Some(way);
        }
        for &next in graph.get(file).into_iter().flatten() {
            if !before.contains_key(next) {
                before.insert(next, Some(file));
                queue.push_back(next);
            }
        }
    }
    None
}
