//! Links inside the tree.

use std::path::{Component, Path, PathBuf};

use super::page::Pages;

/// A problem for each relative link whose file or heading does not exist. Links to other sites are not checked.
pub(super) fn check(pages: &Pages, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (file, page) in pages {
        for (line, target) in page.links.iter().filter(|(_, target)| !is_elsewhere(target)) {
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let at = resolve(file, path);
            let found = pages.get(&at);
            if found.is_none() && !exists(&at) {
                problems.push(format!("{}:{line}: there is no {}", file.display(), at.display()));
            } else if !fragment.is_empty() && !found.is_some_and(|page| page.fragments.contains(fragment)) {
                problems.push(format!(
                    "{}:{line}: there is no heading #{fragment} in {}",
                    file.display(),
                    at.display()
                ));
            }
        }
    }
    problems
}

/// Whether the target has a scheme.
fn is_elsewhere(target: &str) -> bool {
    ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
}

/// The path that a link of this page means; the page itself without a path.
fn resolve(page: &Path, target: &str) -> PathBuf {
    if target.is_empty() {
        return page.to_owned();
    }
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut at = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            Component::ParentDir => {
                at.pop();
            }
            Component::CurDir => {}
            part => at.push(part),
        }
    }
    at
}
