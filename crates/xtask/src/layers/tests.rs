//! Planted imports are found; what is allowed is not reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::baseline::Baseline;
use super::{check, cycles, imports, system, table, undeclared};

/// The cycle entries of a crate with these files below `src/`.
fn cycles_of(files: &[(&str, &str)]) -> Vec<cycles::Edge> {
    let directory = Path::new("/crate");
    let files: BTreeMap<PathBuf, &str> = files
        .iter()
        .map(|(name, text)| (directory.join("src").join(name), *text))
        .collect();
    let read = |path: &Path| files.get(path).map(|text| (*text).to_owned());
    let imports = imports::of(&[directory.join("src/lib.rs")], &read).unwrap();
    assert_eq!(imports.files(), files.len(), "every file is reached");
    cycles::edges("one", directory, &imports)
}

fn entries_of(files: &[(&str, &str)]) -> Vec<String> {
    let mut entries: Vec<String> = cycles_of(files).into_iter().map(|edge| edge.entry).collect();
    entries.sort();
    entries
}

const BOTH: [&str; 2] = ["one: src/a.rs -> src/b.rs", "one: src/b.rs -> src/a.rs"];

#[test]
fn use_declarations_make_a_cycle() {
    let lib = ("lib.rs", "mod a; mod b;");
    let a = ("a.rs", "use crate::b::B; pub struct A;");
    assert_eq!(entries_of(&[lib, a, ("b.rs", "pub struct B;")]), [""; 0]);
    for b in [
        "use crate::a::A; pub struct B;",
        "use super::a::{A as Other}; pub struct B;",
        "use super::a::*; pub struct B;",
        "use crate::a::{self}; pub struct B(a::A);",
        "pub struct B; fn inside() { use crate::a::A; }",
    ] {
        assert_eq!(entries_of(&[lib, a, ("b.rs", b)]), BOTH, "{b}");
    }
}

#[test]
fn qualified_paths_make_a_cycle() {
    let lib = ("lib.rs", "mod a; mod b;");
    let a = ("a.rs", "pub fn a() { crate::b::b(); }");
    for b in [
        "pub fn b() { crate::a::a(); }",
        "pub fn b() { let f = super::a::a; }",
        "pub fn b() { println!(\"{}\", crate::a::a()); }",
        "pub fn b() { vec![(1, super::a::a())]; }",
    ] {
        assert_eq!(entries_of(&[lib, a, ("b.rs", b)]), BOTH, "{b}");
    }
}

#[test]
fn re_exports_are_followed_to_the_file_that_defines() {
    // The crate's root only re-exports: `crate::A` is an import of a.rs, and lib.rs is on no cycle.
    let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*;");
    assert_eq!(
        entries_of(&[lib, ("a.rs", "pub struct A;"), ("b.rs", "use crate::A; pub struct B;")]),
        [""; 0]
    );
    assert_eq!(
        entries_of(&[
            lib,
            ("a.rs", "use crate::B; pub struct A;"),
            ("b.rs", "use crate::A; pub struct B;")
        ]),
        BOTH
    );
}

#[test]
fn a_child_that_uses_what_its_parent_defines_is_on_a_cycle() {
    let lib = ("lib.rs", "mod a;");
    let a = ("a.rs", "mod inner; pub struct A; fn f() { inner::g(); }");
    let child = "a/inner.rs";
    assert_eq!(entries_of(&[lib, a, (child, "pub fn g() {}")]), [""; 0]);
    assert_eq!(
        entries_of(&[lib, a, (child, "use super::A; pub fn g() {}")]),
        ["one: src/a.rs -> src/a/inner.rs", "one: src/a/inner.rs -> src/a.rs"]
    );
}

#[test]
fn tests_and_visibilities_are_no_imports() {
    let lib = ("lib.rs", "mod a; mod b;");
    let a = ("a.rs", "use crate::b::B; pub struct A;");
    let b = "#[cfg(test)] mod tests { use crate::a::A; } pub(in crate::a) struct C; pub struct B;";
    assert_eq!(entries_of(&[lib, a, ("b.rs", b)]), [""; 0]);
}

#[test]
fn modules_are_found_where_the_compiler_finds_them() {
    let found = entries_of(&[
        (
            "lib.rs",
            "mod a; mod written { pub mod c; } #[path = \"odd/place.rs\"] mod d;",
        ),
        ("a/mod.rs", "mod deep; use crate::written::c::C; pub struct A;"),
        ("a/deep.rs", "use crate::d::D;"),
        ("written/c.rs", "use crate::a::A; pub struct C;"),
        ("odd/place.rs", "pub struct D;"),
    ]);
    assert_eq!(
        found,
        [
            "one: src/a/mod.rs -> src/written/c.rs",
            "one: src/written/c.rs -> src/a/mod.rs"
        ]
    );
}

#[test]
fn the_baseline_only_shrinks() {
    let found = cycles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ]);
    let listed = Baseline::parse(&BOTH.join("\n")).unwrap();
    assert_eq!(listed.compare(&found), [""; 0]);

    // A new cycle: both of its imports are reported, with the way back, and no update takes them.
    let empty = Baseline::parse("# nothing\n").unwrap();
    let problems = empty.compare(&found);
    assert_eq!(
        problems[0],
        "a new cycle of files: one: src/a.rs -> src/b.rs (it names `crate::b::B`; the way back: src/b.rs -> src/a.rs)"
    );
    assert_eq!(problems.len(), 2);
    assert!(empty.updated(&found).is_err());

    // A cycle that is gone: its entries have to go.
    let problems = listed.compare(&[]);
    assert!(problems[0].contains("no longer on a cycle: remove it"), "{problems:?}");
    let updated = listed.updated(&[]).unwrap();
    assert_eq!(Baseline::parse(&updated).unwrap().compare(&[]), [""; 0]);
}

const TABLE: &str = "\
# Architecture

| layer | crate | may import of its layer | what it is |
|---|---|---|---|
| 1 | `ground` | | below all |
| 2 | `left`, `other` | | |
| 2 | `right` | `left` | |
| – | `tool` | | |
";

#[test]
fn the_table_is_read_from_the_document() {
    let table = table::parse(TABLE).unwrap();
    assert_eq!(table.len(), 5);
    assert_eq!(table["other"].layer, Some(2));
    assert_eq!(table["tool"].layer, None);
    assert!(table["right"].beside.contains("left"));
    assert!(table::parse("| crate | what |\n|---|---|\n").is_err());
    assert!(table::parse(&TABLE.replace("| 2 | `right`", "| two | `right`")).is_err());
}

/// A workspace on the disk, as cargo sees it.
struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Workspace {
        let workspace = Workspace(tempfile::tempdir().unwrap());
        // Cargo takes every other folder of crates/ for a member.
        let manifest = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\nexclude = [\"crates/xtask\"]\n";
        workspace.write("Cargo.toml", manifest);
        workspace.write("docs/ARCHITECTURE.md", TABLE);
        workspace.write("crates/xtask/cycles.txt", "");
        workspace.dependencies("ground", "");
        workspace.dependencies("left", "[dependencies]\nground = { path = \"../ground\" }\n");
        workspace.dependencies("other", "[dev-dependencies]\ntool = { path = \"../tool\" }\n");
        workspace.dependencies("right", "[dependencies]\nleft = { path = \"../left\" }\n");
        workspace.dependencies("tool", "[dependencies]\nright = { path = \"../right\" }\n");
        workspace
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn dependencies(&self, name: &str, dependencies: &str) {
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{dependencies}");
        self.write(&format!("crates/{name}/Cargo.toml"), &manifest);
        self.write(&format!("crates/{name}/src/lib.rs"), "");
    }

    fn problems(&self) -> Vec<String> {
        check(self.0.path(), false).unwrap().problems
    }
}

#[test]
fn imports_that_the_table_allows_pass() {
    assert_eq!(Workspace::new().problems(), [""; 0]);
}

#[test]
fn an_import_that_runs_up_fails() {
    let workspace = Workspace::new();
    workspace.dependencies("ground", "[dependencies]\nother = { path = \"../other\" }\n");
    let problems = workspace.problems();
    assert!(
        problems[0].starts_with("crates/ground imports crates/other, which is above it (layer 2 above 1)"),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 1);
    // In tests too.
    workspace.dependencies("ground", "[dev-dependencies]\nother = { path = \"../other\" }\n");
    assert_eq!(workspace.problems(), problems);
}

#[test]
fn an_import_to_the_side_fails_unless_the_table_names_it() {
    let workspace = Workspace::new();
    workspace.dependencies("other", "[dependencies]\nleft = { path = \"../left\" }\n");
    let problems = workspace.problems();
    assert!(
        problems[0].starts_with("crates/other imports crates/left, which is beside it (layer 2)"),
        "{problems:?}"
    );
}

#[test]
fn only_tests_import_tools() {
    let workspace = Workspace::new();
    workspace.dependencies("tool", "");
    workspace.dependencies("other", "[dependencies]\ntool = { path = \"../tool\" }\n");
    let problems = workspace.problems();
    assert!(
        problems[0].starts_with("crates/other imports crates/tool, which is a tool"),
        "{problems:?}"
    );
}

#[test]
fn crates_and_rows_belong_together() {
    let workspace = Workspace::new();
    workspace.dependencies("further", "");
    workspace.write("docs/ARCHITECTURE.md", &format!("{TABLE}| 3 | `gone` | | |\n"));
    let problems = workspace.problems();
    assert!(problems[0].starts_with("crates/further has no row"), "{problems:?}");
    assert!(problems[1].contains("names `gone`"), "{problems:?}");
}

#[test]
fn a_planted_cycle_of_files_fails() {
    let workspace = Workspace::new();
    workspace.write("crates/left/src/lib.rs", "mod a; mod b;");
    workspace.write("crates/left/src/a.rs", "use crate::b::B; pub struct A;");
    workspace.write("crates/left/src/b.rs", "use crate::a::A; pub struct B;");
    let problems = workspace.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("a new cycle of files: left: src/a.rs -> src/b.rs"),
        "{problems:?}"
    );
}

fn system_calls(folder: &str, text: &str) -> Vec<String> {
    let read = |path: &Path| path.ends_with("lib.rs").then(|| text.to_owned());
    system::check(folder, &[PathBuf::from("lib.rs")], &read).unwrap()
}

#[test]
fn what_a_simulation_replaces_is_not_taken_from_the_system() {
    for text in [
        "use std::time::Instant; fn a() { Instant::now(); }",
        "use std::time::{Duration, Instant as Clock}; fn a() { Clock::now(); }",
        "use std::time; fn a() { time::SystemTime::now(); }",
        "fn a() { println!(\"{:?}\", std::time::SystemTime::now()); }",
        "fn a() { tokio::task::spawn_blocking(|| ()); }",
        "use tokio::task::spawn_blocking;",
        "fn a() { std::thread::Builder::new(); }",
        "use std::thread; fn a() { thread::spawn(|| ()); }",
        "use bitcoin::secp256k1::rand::rngs::OsRng;",
        "use bitcoin::secp256k1::rand; fn a() { rand::thread_rng(); }",
    ] {
        assert_eq!(
            system_calls("one", text).len(),
            1,
            "{text}: {:?}",
            system_calls("one", text)
        );
    }
    for text in [
        "use tokio::time::Instant; fn a() { Instant::now(); }",
        "use std::time::Instant; fn a(now: Instant) {}",
        "#[cfg(test)] mod tests { fn a() { std::time::Instant::now(); } }",
        "use std::thread; fn a() { thread::current(); }",
    ] {
        assert_eq!(system_calls("one", text), [""; 0], "{text}");
    }
    let threads = "fn a() { std::thread::Builder::new(); }";
    assert_eq!(system_calls("supervisor", threads), [""; 0]);
}

/// Files of a crate as the compiler finds them: in its library, inside its modules, and in its tests.
const DECLARED: [(&str, &str); 8] = [
    (
        "src/lib.rs",
        "mod a; mod b { mod inner; } #[cfg(test)] mod tests; #[path = \"other/place.rs\"] mod c;",
    ),
    ("src/a.rs", "mod deep;"),
    ("src/a/deep.rs", ""),
    ("src/b/inner.rs", ""),
    ("src/tests.rs", ""),
    ("src/other/place.rs", ""),
    ("tests/it/main.rs", "mod of_it;"),
    ("tests/it/of_it/mod.rs", ""),
];

#[test]
fn a_file_that_no_module_declares_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (name, text) in DECLARED {
        write(name, text);
    }
    let targets = ["src/lib.rs", "tests/it/main.rs"].map(|name| directory.path().join(name));
    let check = || undeclared::check(directory.path(), &targets).unwrap();
    assert_eq!(check(), [""; 0]);
    let planted = [
        "src/draft.rs",
        "src/a/draft.rs",
        "tests/it/draft.rs",
        "tests/draft.rs",
        "examples/draft/part.rs",
    ];
    for name in planted {
        write(name, "not even Rust");
    }
    write("src/draft.txt", "a text");
    let mut problems = check();
    problems.sort();
    let mut expected = planted.map(|name| {
        let path = directory.path().join(name);
        format!(
            "{} is compiled by nothing: declare it with `mod`, or remove it",
            path.display()
        )
    });
    expected.sort();
    assert_eq!(problems, expected);
}
