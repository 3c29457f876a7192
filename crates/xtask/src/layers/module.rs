//! The modules of a crate, parsed from its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::Item;

use super::files::{Place, Read, child_file};
use super::visitor::Visitor;

/// A module: a file, or one that is written inside a file.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Index of the module around it; `None` for the crate's root.
    pub(crate) parent: Option<usize>,
    /// The file that it is written in.
    pub(crate) file: PathBuf,
    /// Its submodules by name.
    pub(crate) children: BTreeMap<String, usize>,
    /// What it defines, imports and names.
    pub(crate) content: Visitor,
}

/// The modules of a crate: the first is its root.
pub(crate) fn parse(root: &Path, read: Read<'_>) -> anyhow::Result<Vec<Module>> {
    let mut parser = Parser {
        modules: Vec::new(),
        read,
    };
    parser.file(None, root, Place::of_root(root))?;
    Ok(parser.modules)
}

struct Parser<'a> {
    modules: Vec<Module>,
    read: Read<'a>,
}

impl Parser<'_> {
    fn file(&mut self, parent: Option<usize>, file: &Path, place: Place) -> anyhow::Result<usize> {
        let text = (self.read)(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} cannot be parsed", file.display()))?;
        self.module(parent, file, &place, &parsed.items)
    }

    fn module(&mut self, parent: Option<usize>, file: &Path, place: &Place, items: &[Item]) -> anyhow::Result<usize> {
        let index = self.modules.len();
        self.modules.push(Module {
            parent,
            file: file.to_owned(),
            ..Module::default()
        });
        let mut visitor = Visitor::default();
        for item in items.iter().filter(|item| !only_in_tests(item)) {
            let Item::Mod(module) = item else {
                visitor.item(item);
                continue;
            };
            let name = module.ident.to_string();
            let child = match &module.content {
                Some((_, items)) => self.module(Some(index), file, &place.inside(&name), items)?,
                None => {
                    let (file, place) = child_file(place, module, self.read)
                        .with_context(|| format!("`mod {name}` of {}: there is no such file", file.display()))?;
                    self.file(Some(index), &file, place)?
                }
            };
            self.modules[index].children.insert(name, child);
        }
        self.modules[index].content = visitor;
        Ok(index)
    }
}

/// Whether the item is `#[cfg(test)]`: tests may import what they like.
fn only_in_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list();
        condition.is_ok_and(|list| {
            let tokens = list.tokens.to_string();
            list.path.is_ident("cfg")
                && (tokens == "test" || tokens.starts_with("all (test") || tokens.starts_with("all(test"))
        })
    })
}
