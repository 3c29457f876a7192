use std::path::PathBuf;

use super::messages::Sources;
use super::page::{Page, Pages};
use super::{links, messages, twins};

fn pages(texts: &[(&str, &str)]) -> Pages {
    let page = |(path, text): &(&str, &str)| (PathBuf::from(path), Page::parse(text));
    texts.iter().map(page).collect()
}

#[test]
fn broken_links_and_fragments_are_found() {
    let tree = pages(&[
        (
            "docs/a.md",
            "# A\n[to b](b.md#the-first-part) [wrong](b.md#first) [gone](c.md)\n[code](../src/x.rs) [self](#a) [web](https://example.com/#x)\n",
        ),
        ("docs/b.md", "# B\n## The `first` part!\n## Twice\n## Twice\n"),
        (
            "docs/fr/d.md",
            "# D\n[b](../b.md#twice-1) [no](../b.md#twice-2)\n## Récupérer l'état\n[ici](#récupérer-létat)\n",
        ),
    ]);
    let exists = |path: &std::path::Path| path == std::path::Path::new("src/x.rs");
    let expected = [
        "docs/a.md:2: there is no heading #first in docs/b.md",
        "docs/a.md:2: there is no docs/c.md",
        "docs/fr/d.md:2: there is no heading #twice-2 in docs/b.md",
    ];
    assert_eq!(links::check(&tree, &exists), expected);
}

#[test]
fn a_link_inside_code_is_no_link() {
    let tree = pages(&[("a.md", "`[x](gone.md)`\n\n```md\n[y](gone.md)\n```\n")]);
    assert_eq!(links::check(&tree, &|_| false), Vec::<String>::new());
}

#[test]
fn twins_have_the_same_headings_and_code() {
    let english = "# A\n## B\n```sh\nrun\n```\n";
    let same = pages(&[
        ("docs/a.md", english),
        ("docs/fr/a.md", "# Un\n## Deux\n```sh\nrun\n```\n"),
        ("docs/API.md", "# API\n"),
    ]);
    assert_eq!(twins::check(&same), Vec::<String>::new());
    for (french, expected) in [
        (
            "# Un\n```sh\nrun\n```\n",
            "docs/a.md has 2 headings and docs/fr/a.md has 1, or their levels differ",
        ),
        (
            "# Un\n# Deux\n```sh\nrun\n```\n",
            "docs/a.md has 2 headings and docs/fr/a.md has 2, or their levels differ",
        ),
        ("# Un\n## Deux\n", "docs/a.md has 1 code blocks and docs/fr/a.md has 0"),
        (
            "# Un\n## Deux\n```sh\nstop\n```\n",
            "code block 1 of docs/fr/a.md differs from that of docs/a.md",
        ),
        (
            "# Un\n## Deux\n```sh now\nrun\n```\n",
            "code block 1 of docs/fr/a.md differs from that of docs/a.md",
        ),
    ] {
        assert_eq!(
            twins::check(&pages(&[("docs/a.md", english), ("docs/fr/a.md", french)])),
            [expected]
        );
    }
    let alone = pages(&[("docs/a.md", english), ("docs/fr/b.md", "# B\n")]);
    let expected = [
        "docs/a.md: there is no French docs/fr/a.md",
        "docs/fr/b.md: there is no English docs/b.md",
    ];
    assert_eq!(twins::check(&alone), expected);
}

#[test]
fn a_quoted_message_is_one_of_the_program() {
    let program = r#"fn f() {
    #[error("the store {path} was made for {found}: use \
             another \"directory\"")]
}
// "only in a comment, no message"
#[cfg(test)]
mod more;
"after a declaration"
#[cfg(test)]
mod tests {
    "only in a test, no message"
}
"#;
    let sources = Sources::new(&[
        (PathBuf::from("crates/store/src/a.rs"), program.to_owned()),
        (
            PathBuf::from("crates/store/tests/it/b.rs"),
            "\"only in a test program\"".to_owned(),
        ),
    ]);
    let page = |cell: &str| format!("| Message | What to do |\n|---|---|\n| {cell} | `not a message of a program` |\n");
    let wrong = |cell: &str| messages::check(&pages(&[("docs/a.md", &page(cell))]), &sources).1;
    for right in [
        "`the store … was made for …`",
        "`use another \"directory\"`",
        "`after a declaration`",
        "text alone",
    ] {
        assert_eq!(wrong(right), Vec::<String>::new());
    }
    for quoted in [
        "`was made for … the store …`",
        "`the store … was created for …`",
        "`only in a comment, no message`",
        "`only in a test, no message`",
        "`only in a test program`",
    ] {
        let found = wrong(quoted);
        assert!(
            found.len() == 1 && found[0].contains("no line of the program has"),
            "{quoted}: {found:?}"
        );
    }
    assert!(wrong("`the store …`")[0].contains("quote more"));
    let other = "| Text | What to do |\n|---|---|\n| `no message of the program` | x |\n";
    assert_eq!(
        messages::check(&pages(&[("docs/a.md", other)]), &sources),
        (0, Vec::new())
    );
}
