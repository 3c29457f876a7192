//! The Markdown pages of the repository.

use std::path::{Path, PathBuf};

/// A page: its path, code blocks, and code in its text.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) blocks: Vec<Block>,
    pub(crate) spans: Vec<(usize, String)>,
}

pub(crate) struct Block {
    pub(crate) line: usize,
    /// The words after the fence.
    pub(crate) words: String,
    pub(crate) text: String,
}

/// The pages for readers: `README.md` and those in `docs` and `docs/fr`.
pub(crate) fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = |name: &str| {
        let entries = std::fs::read_dir(root.join(name)).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "md"))
            .collect::<Vec<_>>()
    };
    let mut paths = [folder("docs"), folder("docs/fr"), vec![root.join("README.md")]].concat();
    paths.sort();
    assert!(paths.len() > 12, "{paths:?}");
    let page = |path: PathBuf| parse(path.clone(), &std::fs::read_to_string(path).unwrap());
    paths.into_iter().map(page).collect()
}

fn parse(path: PathBuf, text: &str) -> Page {
    let (mut blocks, mut spans) = (Vec::new(), Vec::new());
    let mut lines = (1..).zip(text.lines());
    while let Some((line, text)) = lines.next() {
        if let Some(words) = text.trim_start().strip_prefix("```") {
            let indent = text.len() - text.trim_start().len();
            let inside = lines.by_ref().map(|(_, l)| l).take_while(|l| l.trim() != "```");
            let text: Vec<&str> = inside.map(|l| l.get(indent..).unwrap_or("")).collect();
            let words = words.to_owned();
            let text = text.join("\n");
            blocks.push(Block { line, words, text });
        } else {
            let code = text.split('`').skip(1).step_by(2);
            spans.extend(code.map(|code| (line, code.to_owned())));
        }
    }
    Page { path, blocks, spans }
}

#[test]
fn blocks_and_spans_are_found() {
    let text = "a `b c` d `e`\n\n1. x\n\n   ```sh now\n   run\n     it\n   ```\n\n```\n`no span`\n```\n";
    let page = parse(PathBuf::new(), text);
    assert_eq!(page.spans, [(1, "b c".to_owned()), (1, "e".to_owned())]);
    let blocks: Vec<_> = page
        .blocks
        .iter()
        .map(|b| (b.line, b.words.as_str(), b.text.as_str()))
        .collect();
    assert_eq!(blocks, [(5, "sh now", "run\n  it"), (10, "", "`no span`")]);
}
