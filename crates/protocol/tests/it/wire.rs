//! The wire form, byte by byte: names, nesting and order of every message and body are those of the committed
//! snapshots (`snapshots/`).
//!
//! After a deliberate change, `INSTA_UPDATE=always cargo test -p sdk-relay-protocol` writes them, and the commit shows
//! what changes for clients.

mod blindbit;
mod client;
mod http;
mod names;
mod server;

use std::collections::BTreeSet;
use std::sync::Arc;

use sdk_relay_protocol::encode_text;
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};
use serde::Serialize;
use serde_json::Value;
use utoipa::PartialSchema;

/// Bytes that must not change, under the name of their snapshot.
struct Sample {
    name: String,
    bytes: String,
}

impl Sample {
    fn new(family: &str, name: &str, value: &impl Serialize) -> Self {
        Self {
            name: format!("{family}-{name}"),
            bytes: encode_text(value).unwrap(),
        }
    }

    fn assert(&self) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(self.name.as_str(), self.bytes));
    }
}

/// Gossip with every field.
fn gossip() -> Gossip {
    let id = |name| RelayId::new(name).unwrap();
    let entry = RelayEntry {
        relay_id: id("relay-2"),
        public_key: "cc".into(),
        address: "relay-2.example.com:8090".into(),
        incarnation: 1_703_001_600,
        version: 4,
        status: RelayStatus::Degraded,
        software_version: "0.1.0".into(),
        capabilities: vec!["sync".into()],
        started: 1_703_001_600,
        signature: "ee".into(),
    };
    let accusation = Accusation {
        relay_id: id("relay-3"),
        incarnation: 1,
        version: 2,
        by: id("relay-2"),
        signature: "ff".into(),
    };
    Gossip {
        digest: u64::MAX,
        links: 3,
        relays: 4,
        passing: true,
        batch: 5,
        ack: 6,
        have: vec![Have(id("relay-2"), 1_703_001_600, 4, 1)],
        distances: vec![1],
        want: vec![id("relay-4")],
        doubt: vec![id("relay-3")],
        entries: vec![Arc::new(entry)],
        accusations: vec![Arc::new(accusation)],
        buckets: vec![0, 7],
        probe: vec![id("relay-5")],
        heard: vec![Heard(id("relay-6"), 1500)],
    }
}

fn schema<T: PartialSchema>() -> Value {
    serde_json::from_str(&encode_text(&T::schema()).unwrap()).unwrap()
}

/// The values of an enumeration, as its schema lists them.
fn names_of<T: PartialSchema>() -> Vec<String> {
    let names = schema::<T>()["enum"].take();
    serde_json::from_value(names).unwrap()
}

/// The values of the field `tag` anywhere in a schema.
fn tags(schema: &Value, tag: &str, found: &mut BTreeSet<String>) {
    if let Some(values) = schema["properties"][tag]["enum"].as_array() {
        found.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    for part in ["oneOf", "allOf"] {
        for inner in schema[part].as_array().into_iter().flatten() {
            tags(inner, tag, found);
        }
    }
}

/// Every variant that the schema of `T` has is among the samples.
fn assert_every_tag<'a, T, S>(tag: &str, samples: impl Iterator<Item = &'a S>)
where
    T: PartialSchema,
    S: Serialize + 'a,
{
    let mut expected = BTreeSet::new();
    tags(&schema::<T>(), tag, &mut expected);
    let sampled = |sample| serde_json::to_value(sample).unwrap()[tag].as_str().unwrap().to_owned();
    assert!(!expected.is_empty());
    assert_eq!(samples.map(sampled).collect::<BTreeSet<_>>(), expected);
}

/// A message that is gone takes its snapshot with it.
#[test]
fn no_snapshot_is_left_over() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let files = std::fs::read_dir(folder).unwrap();
    let committed: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let families = [client::samples(), server::samples(), http::samples(), names::samples()];
    let expected: Vec<String> = families
        .into_iter()
        .flatten()
        .map(|sample| format!("{}.snap", sample.name))
        .collect();
    let distinct: BTreeSet<String> = expected.iter().cloned().collect();
    assert_eq!(distinct.len(), expected.len(), "two samples of one name");
    assert_eq!(committed, distinct);
}
