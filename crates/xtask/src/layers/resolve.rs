//! What a path names.

use super::module::Module;

/// Longest chain of re-exports that is followed.
const DEPTH: usize = 16;

/// What a path names in the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module.
    Module(usize),
    /// Something that the module defines.
    Item(usize),
}

/// What `path`, written in the module `from`, names in the crate; `None` for what is of other crates, local, or a
/// method.
pub(crate) fn resolve(modules: &[Module], from: usize, path: &[String]) -> Option<Target> {
    walk(modules, from, path, DEPTH)
}

fn walk(modules: &[Module], from: usize, path: &[String], depth: usize) -> Option<Target> {
    let depth = depth.checked_sub(1)?;
    let (first, rest) = path.split_first()?;
    let mut target = match first.as_str() {
        "crate" => Target::Module(0),
        "self" => Target::Module(from),
        "super" => Target::Module(modules[from].parent?),
        name => member(modules, from, name, rest.is_empty(), depth)?,
    };
    for (index, segment) in rest.iter().enumerate() {
        let Target::Module(module) = target else { break };
        target = match segment.as_str() {
            "super" => Target::Module(modules[module].parent?),
            "self" | "*" => target,
            name => member(modules, module, name, index + 1 == rest.len(), depth)?,
        };
    }
    Some(target)
}

/// What `name` is in a module. A module and an item may have the same name: `last` says that no further segment
/// follows.
fn member(modules: &[Module], module: usize, name: &str, last: bool, depth: usize) -> Option<Target> {
    let within = &modules[module];
    let child = within.children.get(name).map(|&child| Target::Module(child));
    if !last && child.is_some() {
        return child;
    }
    if within.content.items.contains(name) {
        return Some(Target::Item(module));
    }
    let imported = within.content.uses.iter().filter(|(bound, _)| bound == name);
    let mut imported = imported.filter_map(|(_, path)| {
        // `use name::…` cannot be what gives `name` its meaning.
        let itself = path.first().is_some_and(|first| first == name) && !within.children.contains_key(name);
        if itself {
            None
        } else {
            walk(modules, module, path, depth)
        }
    });
    imported.next().or(child).or_else(|| {
        within.content.globs.iter().find_map(|glob| {
            let depth = depth.checked_sub(1)?;
            match walk(modules, module, glob, depth)? {
                Target::Module(other) if other != module => member(modules, other, name, last, depth),
                _ => None,
            }
        })
    })
}
