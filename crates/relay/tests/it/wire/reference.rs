//! The samples of the API reference, read from the document that `API_REFERENCE` names.

use super::json::{Json, departures};

/// Environment variable with the path of the API reference.
const VARIABLE: &str = "API_REFERENCE";

/// The API reference.
#[derive(Debug)]
pub(crate) struct Reference {
    text: String,
}

impl Reference {
    /// The reference; `None` if the variable is not set.
    pub(crate) fn open() -> Option<Reference> {
        let path = testkit::needed_file(VARIABLE, "reference")?;
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("{VARIABLE} names {}, which cannot be read: {e}", path.display()));
        Some(Reference { text })
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The message below the line that begins with this label, such as `Message Pong` or `Réponse Subscribe`.
    pub(crate) fn message(&self, label: &str) -> &str {
        self.below(self.line(label), label)
    }

    /// The answer to the request whose first line begins with this, such as `GET /health `.
    pub(crate) fn answer(&self, request: &str) -> &str {
        let request_at = self.line(request);
        let answer = self.text[request_at..].find("\nRéponse :").expect("an answer");
        self.below(request_at + answer, request)
    }

    /// Panics if `actual` differs from the shape of the sample.
    pub(crate) fn check(&self, what: &str, sample: &str, actual: &str, unknown: &[&str]) {
        let found = departures(&Json::parse(sample), &Json::parse(actual), unknown);
        assert!(
            found.is_empty(),
            "{what}: {found:#?}\nin {actual}\nthe sample: {sample}"
        );
    }

    fn line(&self, beginning: &str) -> usize {
        let found = self.text.match_indices(beginning).find(|(at, _)| {
            let before = &self.text[..*at];
            before.is_empty() || before.ends_with('\n')
        });
        found
            .unwrap_or_else(|| panic!("the reference has no line that begins with {beginning:?}"))
            .0
    }

    /// The first JSON object after a position. Samples begin with `{` and end with `}` at the beginning of a line.
    fn below(&self, at: usize, what: &str) -> &str {
        let rest = &self.text[at..];
        let sample = rest.find("\n{\n").and_then(|from| {
            let end = rest[from..].find("\n}\n")?;
            rest.get(from + 1..from + end + 2)
        });
        sample.unwrap_or_else(|| panic!("no sample below {what:?}"))
    }
}
