//! The examples of `docs/API.md`, with their kinds.

/// The info string of a fence after `json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Sent by a client.
    Send,
    /// Sent by the relay, unsolicited or as an answer.
    Receive,
    /// The body of a request.
    Request(String),
    /// The answer to a request: 200.
    Answer(String),
    /// The answer to an invalid request.
    Refused(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) line: usize,
    pub(crate) act: Act,
    pub(crate) text: String,
}

/// All examples, in order. Panics at a JSON fence without a kind.
pub(crate) fn examples(page: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        let Some(words) = text.strip_prefix("```json") else {
            continue;
        };
        let text: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect();
        found.push(Example {
            line,
            act: act(words.trim()).unwrap_or_else(|| panic!("line {line}: an example of what? {words:?}")),
            text: text.join("\n"),
        });
    }
    found
}

fn act(words: &str) -> Option<Act> {
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["send"] => Some(Act::Send),
        ["receive"] => Some(Act::Receive),
        ["GET", path] => Some(Act::Answer(format!("GET {path}"))),
        [method, path, "request"] => Some(Act::Request(format!("{method} {path}"))),
        [method, path, "answer"] => Some(Act::Answer(format!("{method} {path}"))),
        [method, path, "refused"] => Some(Act::Refused(format!("{method} {path}"))),
        _ => None,
    }
}

#[test]
fn examples_are_classified() {
    let page =
        "x\n```json send\n{}\n```\n```json GET /a?b=1\n{\n}\n```\n```sh\nls\n```\n```json PUT /c request\n1\n```\n";
    let found: Vec<_> = examples(page).into_iter().map(|e| (e.line, e.act, e.text)).collect();
    let expected = [
        (2, Act::Send, "{}".to_owned()),
        (5, Act::Answer("GET /a?b=1".to_owned()), "{\n}".to_owned()),
        (12, Act::Request("PUT /c".to_owned()), "1".to_owned()),
    ];
    assert_eq!(found, expected);
    assert_eq!(act("PUT"), None);
    assert_eq!(act(""), None);
}
