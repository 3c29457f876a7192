//! JSON that keeps the order of its fields and the way its numbers are written, and the comparison of shapes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer,
    Float,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Json {
        serde_json::from_str(text).unwrap_or_else(|e| panic!("no JSON ({e}): {text}"))
    }

    /// Names of the fields, in order. Empty for other values than objects.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Json::Object(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Copies of this value, each without one of its fields, nested ones included.
    pub(crate) fn each_without_one_field(&self) -> Vec<Json> {
        match self {
            Json::Object(fields) => (0..fields.len())
                .flat_map(|at| {
                    let mut without = fields.clone();
                    without.remove(at);
                    let inner = fields[at].1.each_without_one_field().into_iter().map(move |value| {
                        let mut changed = fields.clone();
                        changed[at].1 = value;
                        Json::Object(changed)
                    });
                    std::iter::once(Json::Object(without)).chain(inner)
                })
                .collect(),
            // The first item of a list is the sample of all its items.
            Json::List(items) => (items.iter().take(1))
                .flat_map(Json::each_without_one_field)
                .map(|item| Json::List(vec![item]))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Integer => "an integer",
            Json::Float => "a number",
            Json::Text(_) => "a text",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

/// The differences of `actual` from the shape of `sample`: a field is missing, of another type, or out of order.
/// Further fields are allowed. `null` is allowed at the paths `unknown` (such as `payload.health.network_latency`;
/// fields of list items have the list's path), and anything where the sample has `null`.
pub(crate) fn departures(sample: &Json, actual: &Json, unknown: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    compare(sample, actual, unknown, "", &mut found);
    found
}

fn compare(sample: &Json, actual: &Json, unknown: &[&str], path: &str, found: &mut Vec<String>) {
    match (sample, actual) {
        (Json::Object(sample), Json::Object(fields)) => {
            let mut places = Vec::new();
            for (name, value) in sample {
                let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
                match fields.iter().position(|(n, _)| n == name) {
                    None => found.push(format!("{path} is missing")),
                    Some(place) => {
                        places.push(place);
                        compare(value, &fields[place].1, unknown, &path, found);
                    }
                }
            }
            if !places.is_sorted() {
                let actual: Vec<_> = fields.iter().map(|(name, _)| name).collect();
                found.push(format!("the fields of {path:?} are in another order: {actual:?}"));
            }
        }
        (Json::List(sample), Json::List(items)) => {
            for (sample, item) in items.iter().filter_map(|item| Some((sample.first()?, item))) {
                compare(sample, item, unknown, path, found);
            }
        }
        (Json::Null, _) | (Json::Float, Json::Integer) => {}
        (_, Json::Null) if unknown.contains(&path) => {}
        (sample, actual) if sample.kind() == actual.kind() => {}
        (sample, actual) => found.push(format!("{path} is {}, not {}", actual.kind(), sample.kind())),
    }
}

/// Paths of the lists that have items in the sample and none in `actual`, whose items are not compared.
pub(crate) fn empty_lists(sample: &Json, actual: &Json) -> Vec<String> {
    let mut found = Vec::new();
    find_empty(sample, actual, "", &mut found);
    found
}

fn find_empty(sample: &Json, actual: &Json, path: &str, found: &mut Vec<String>) {
    match (sample, actual) {
        (Json::Object(sample), Json::Object(fields)) => {
            for (name, value) in sample {
                if let Some((_, actual)) = fields.iter().find(|(n, _)| n == name) {
                    let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
                    find_empty(value, actual, &path, found);
                }
            }
        }
        (Json::List(sample), Json::List(items)) if !sample.is_empty() && items.is_empty() => {
            found.push(path.to_owned());
        }
        (Json::List(sample), Json::List(items)) => {
            for (sample, item) in items.iter().filter_map(|item| Some((sample.first()?, item))) {
                find_empty(sample, item, path, found);
            }
        }
        _ => {}
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Integer)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Integer)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Float)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Json::Object(object))
    }
}

#[test]
fn departures_are_found() {
    let sample = Json::parse(r#"{"a":1,"b":{"c":"x","d":[{"e":1.5}]},"f":null}"#);
    let of = |text| departures(&sample, &Json::parse(text), &["b.c"]);
    let good = r#"{"a":2,"more":0,"b":{"c":null,"d":[{"e":1},{"e":2.0}]},"f":"y"}"#;
    assert_eq!(of(good), Vec::<String>::new());
    assert_eq!(of(r#"{"a":1,"b":{"c":"x","d":[]}}"#), ["f is missing"]);
    assert_eq!(
        of(r#"{"a":1.5,"b":{"c":"x","d":[]},"f":0}"#),
        ["a is a number, not an integer"]
    );
    assert_eq!(
        of(r#"{"a":1,"b":{"c":"x","d":[{"e":null}]},"f":0}"#),
        ["b.d.e is null, not a number"]
    );
    let swapped = of(r#"{"b":{"d":[],"c":"x"},"a":1,"f":0}"#);
    assert_eq!(swapped.len(), 2, "{swapped:?}");
    let lists = |text| empty_lists(&sample, &Json::parse(text));
    assert_eq!(lists(r#"{"b":{"d":[]}}"#), ["b.d"]);
    assert_eq!(lists(good), Vec::<String>::new());
    let without = sample.each_without_one_field();
    assert_eq!(without.len(), 6, "a, b, c, d, e, f");
    assert!(without.iter().all(|w| !departures(&sample, w, &[]).is_empty()));
}
