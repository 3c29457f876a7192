//! A Markdown page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The head of the first column in tables of messages; the same word in English and in French.
const MESSAGE: &str = "Message";

/// The pages of the tree, by their path.
pub(super) type Pages = BTreeMap<PathBuf, Page>;

/// What is checked of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Levels of the headings, in order.
    pub(super) levels: Vec<HeadingLevel>,
    /// Fragments of the headings, as GitHub makes them.
    pub(super) fragments: BTreeSet<String>,
    /// Targets of links and images, with their lines.
    pub(super) links: Vec<(usize, String)>,
    /// The words after the fence and the text of each code block.
    pub(super) blocks: Vec<(String, String)>,
    /// Code of the first column of the tables of messages, with their lines.
    pub(super) messages: Vec<(usize, String)>,
}

impl Page {
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut seen = BTreeMap::new();
        let (mut heading, mut block, mut table) = (None, None, Table::default());
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let line = || text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    page.levels.push(level);
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    let fragment = slug(&heading.take().unwrap_or_default());
                    page.fragments.insert(numbered(fragment, &mut seen));
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let words = match kind {
                        CodeBlockKind::Fenced(words) => words.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    block = Some((words, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line(), dest_url.to_string()));
                }
                Event::Start(Tag::Table(_)) => table = Table::default(),
                Event::Start(Tag::TableHead) => table.is_head = true,
                Event::End(TagEnd::TableHead) => table.is_head = false,
                Event::Start(Tag::TableRow) => table.column = 0,
                Event::End(TagEnd::TableCell) => table.column += 1,
                Event::Text(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    } else if let Some((_, text)) = &mut block {
                        text.push_str(&words);
                    } else if table.is_head && table.column == 0 {
                        table.is_of_messages = *words == *MESSAGE;
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    } else if table.is_of_messages && !table.is_head && table.column == 0 {
                        page.messages.push((line(), code.to_string()));
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// Where in a table the parser is.
#[derive(Default)]
struct Table {
    is_head: bool,
    column: usize,
    is_of_messages: bool,
}

/// The fragment of a heading.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            _ => (c.is_alphanumeric() || matches!(c, '-' | '_')).then_some(c),
        })
        .collect()
}

/// The second heading with a text gets `-1` after it.
fn numbered(fragment: String, seen: &mut BTreeMap<String, usize>) -> String {
    let count = seen.entry(fragment.clone()).or_default();
    *count += 1;
    match *count - 1 {
        0 => fragment,
        before => format!("{fragment}-{before}"),
    }
}
