//! Which file a `mod name;` is in.

use std::path::{Path, PathBuf};

use syn::{Expr, ItemMod, Lit, Meta};

/// Reads a file; `None` where there is none.
pub(crate) type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// Where the files of a module's submodules are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The folder of `name.rs` and `name/mod.rs`.
    children: PathBuf,
    /// The folder that `#[path = "…"]` starts from.
    attribute: PathBuf,
}

impl Place {
    /// For a crate's root or a `mod.rs`: its own folder.
    pub(crate) fn of_root(file: &Path) -> Place {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Place {
            children: folder.clone(),
            attribute: folder,
        }
    }

    /// For the file of a module: a `mod.rs`, or `name.rs` whose submodules are in `name/`.
    fn of_module(file: &Path) -> Place {
        let mut place = Place::of_root(file);
        if !file.ends_with("mod.rs") {
            place.children = file.with_extension("");
        }
        place
    }

    /// For a module that is written inside this one's file.
    pub(crate) fn inside(&self, name: &str) -> Place {
        let folder = self.children.join(name);
        Place {
            children: folder.clone(),
            attribute: folder,
        }
    }
}

/// The file of a module that is declared in another, and where its own submodules are.
pub(crate) fn child_file(place: &Place, module: &ItemMod, read: Read<'_>) -> Option<(PathBuf, Place)> {
    if let Some(path) = path_attribute(module) {
        let file = place.attribute.join(path);
        // A file that is named by its path is a `mod.rs` for its own submodules.
        let place = Place::of_root(&file);
        return Some((file, place));
    }
    let name = module.ident.to_string();
    let candidates = [
        place.children.join(format!("{name}.rs")),
        place.children.join(name).join("mod.rs"),
    ];
    let file = candidates.into_iter().find(|file| read(file).is_some())?;
    let place = Place::of_module(&file);
    Some((file, place))
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}
