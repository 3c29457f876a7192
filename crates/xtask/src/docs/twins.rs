//! Pages in two languages.

use std::path::Path;

use super::page::Pages;

const ENGLISH: &str = "docs";
const FRENCH: &str = "docs/fr";

/// References and explanations, which exist in English only. All other pages are by task.
const ENGLISH_ONLY: [&str; 8] = [
    "API.md",
    "ARCHITECTURE.md",
    "autobahn.md",
    "configuration.md",
    "mesh.md",
    "metrics.md",
    "operating.md",
    "scanner.md",
];

/// A problem for each page by task that lacks its twin, or whose headings or code blocks differ from those of the twin.
pub(super) fn check(pages: &Pages) -> Vec<String> {
    let names = |folder: &'static str| {
        pages
            .keys()
            .filter(move |path| path.parent() == Some(Path::new(folder)))
            .filter_map(|path| path.file_name()?.to_str())
    };
    let mut problems = Vec::new();
    for name in names(ENGLISH).filter(|name| !ENGLISH_ONLY.contains(name)) {
        let (english, french) = (Path::new(ENGLISH).join(name), Path::new(FRENCH).join(name));
        let Some(twin) = pages.get(&french) else {
            problems.push(format!(
                "{}: there is no French {}",
                english.display(),
                french.display()
            ));
            continue;
        };
        let page = &pages[&english];
        if page.levels != twin.levels {
            problems.push(format!(
                "{} has {} headings and {} has {}, or their levels differ",
                english.display(),
                page.levels.len(),
                french.display(),
                twin.levels.len()
            ));
        }
        if page.blocks.len() != twin.blocks.len() {
            problems.push(format!(
                "{} has {} code blocks and {} has {}",
                english.display(),
                page.blocks.len(),
                french.display(),
                twin.blocks.len()
            ));
        }
        let pairs = page.blocks.iter().zip(&twin.blocks);
        if let Some(differs) = pairs.clone().position(|(english, french)| english != french) {
            problems.push(format!(
                "code block {} of {} differs from that of {}",
                differs + 1,
                french.display(),
                english.display()
            ));
        }
    }
    for name in names(FRENCH).filter(|name| !pages.contains_key(&Path::new(ENGLISH).join(name))) {
        problems.push(format!("{FRENCH}/{name}: there is no English {ENGLISH}/{name}"));
    }
    problems
}
