//! What a module defines, imports and names, from its syntax.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemUse, Macro, UseTree, Visibility};

/// The segments of a path, as written.
pub(crate) type Segments = Vec<String>;

/// Collects what a module defines, imports and names.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    /// The names of what it defines.
    pub(crate) items: BTreeSet<String>,
    /// What its `use` declarations bind: name and path.
    pub(crate) uses: Vec<(String, Segments)>,
    /// The paths of its `use …::*`.
    pub(crate) globs: Vec<Segments>,
    /// The paths that its code is written with: what it imports, and what it names.
    pub(crate) references: Vec<Segments>,
}

impl Visitor {
    /// Takes an item of the module itself.
    pub(crate) fn item(&mut self, item: &Item) {
        match item {
            Item::Use(item) => {
                let private = matches!(item.vis, Visibility::Inherited);
                self.import(&mut Vec::new(), &item.tree, private);
                return;
            }
            Item::Macro(item) => self.items.extend(item.ident.iter().map(ToString::to_string)),
            _ => self.items.extend(name(item)),
        }
        self.visit_item(item);
    }

    fn import(&mut self, prefix: &mut Segments, tree: &UseTree, private: bool) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(prefix, &path.tree, private);
                prefix.pop();
            }
            UseTree::Name(name) => self.bind(prefix, name.ident.to_string(), None, private),
            UseTree::Rename(name) => self.bind(prefix, name.ident.to_string(), Some(name.rename.to_string()), private),
            UseTree::Glob(_) => {
                self.globs.push(prefix.clone());
                if private {
                    let mut path = prefix.clone();
                    path.push("*".to_owned());
                    self.references.push(path);
                }
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(prefix, tree, private);
                }
            }
        }
    }

    fn bind(&mut self, prefix: &[String], name: String, rename: Option<String>, private: bool) {
        let mut path = prefix.to_vec();
        // `use a::b::{self}` is `use a::b`.
        if name != "self" || path.is_empty() {
            path.push(name);
        }
        if private {
            self.references.push(path.clone());
        }
        if let Some(name) = rename.or_else(|| path.last().cloned()) {
            self.uses.push((name, path));
        }
    }

    /// The paths in the arguments of a macro, which are tokens only.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => {
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.end(&mut path);
                    colons = 0;
                    match other {
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Segments) {
        if !path.is_empty() {
            self.references.push(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.references.push(segments.collect());
        }
        visit::visit_path(self, path);
    }

    /// `use` inside a function.
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&mut Vec::new(), &item.tree, true);
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        self.visit_path(&node.path);
        self.tokens(node.tokens.clone());
    }

    /// The path of `pub(in path)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
