//! Parses the reference into its samples.

use crate::wire::reference::Reference;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    WebSocket,
    Http,
}

/// A JSON sample.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) side: Side,
    /// The line above it for a message (`Message Pong`); `METHOD /path body` or `METHOD /path answer` over HTTP.
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) struct Document(Vec<Sample>);

impl Document {
    /// `None` if no reference is configured, which is reported.
    pub(crate) fn open() -> Option<Document> {
        let reference = Reference::open()?;
        Some(Document(samples(reference.text())))
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.0
    }

    pub(crate) fn count(&self, side: Side) -> usize {
        self.0.iter().filter(|sample| sample.side == side).count()
    }
}

/// A sample begins with `{` and ends with `}`, each on its own line. Its name is the last line before it that ends with
/// a colon, and for HTTP the last request line.
fn samples(text: &str) -> Vec<Sample> {
    let mut found = Vec::new();
    let (mut label, mut request) = ("", None);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(target) = line.strip_suffix(" HTTP/1.1") {
            let path = target.split('?').next().unwrap_or(target);
            request = Some(path.to_owned());
        } else if line == "{" {
            let mut text = String::from("{\n");
            for line in lines.by_ref().take_while(|line| *line != "}") {
                text.push_str(line);
                text.push('\n');
            }
            text.push('}');
            let (side, name) = match &request {
                None => (Side::WebSocket, label.to_owned()),
                Some(path) if label == "Requête" => (Side::Http, format!("{path} body")),
                Some(path) => (Side::Http, format!("{path} answer")),
            };
            found.push(Sample { side, name, text });
        } else if let Some(words) = line.strip_suffix(':') {
            label = words.split(" (").next().unwrap_or(words).trim();
        }
    }
    found
}

#[test]
fn samples_are_found_with_their_names() {
    let text = "Message Ping (Client → sdk_relay) :\n\n{\n    \"a\": 1\n}\n\nRequête :\n\nPUT /config?x=1 HTTP/1.1\nHost: x\n\n{\n    \"b\": {\n    }\n}\n\nRéponse :\n\n{\n}\n";
    let found = samples(text);
    let names: Vec<_> = found.iter().map(|s| (s.side, s.name.as_str())).collect();
    assert_eq!(
        names,
        [
            (Side::WebSocket, "Message Ping"),
            (Side::Http, "PUT /config body"),
            (Side::Http, "PUT /config answer")
        ]
    );
    assert_eq!(found[1].text, "{\n    \"b\": {\n    }\n}");
}
