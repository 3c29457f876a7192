//! Parses lines: JSON-RPC 2.0, one request or one batch in each.
//!
//! Parameters are kept as text: a parsed tree of JSON takes up to 75 times as much memory as its text. [`Args`] reads
//! the values that a method has.
//!
//! [`Args`]: crate::args::Args

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::RpcError;
use crate::limits::{MAX_BATCH, MAX_ID, MAX_METHOD};

/// The id of a request, as the client wrote it.
pub(crate) type Id = Box<RawValue>;

/// What a line asks for.
#[derive(Debug)]
pub(crate) enum Line {
    /// One request.
    One(Call),
    /// A batch, with the parts of it that are no requests.
    Batch(Vec<Result<Call, Refused>>),
}

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` for a notification, which gets no answer.
    pub(crate) id: Option<Id>,
    /// Method.
    pub(crate) method: String,
    /// Parameters.
    pub(crate) params: Params,
}

/// Parameters of a request: the text of a list or of an object; empty if there are none. They may contain keys.
#[derive(Clone, Default)]
pub(crate) struct Params(Zeroizing<String>);

/// A line, or a part of a batch, that is no request.
#[derive(Debug)]
pub(crate) struct Refused {
    /// `None` if it has none.
    pub(crate) id: Option<Id>,
    /// Why.
    pub(crate) error: RpcError,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

/// The id alone, for the answer to what is otherwise wrong.
#[derive(Deserialize)]
struct IdOnly<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// `null` is an id too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The values of a list of at most this many.
struct AtMost(usize);

impl<'de> Visitor<'de> for AtMost {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} values", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            if values.len() == self.0 {
                return Err(A::Error::invalid_length(values.len() + 1, &self));
            }
            values.push(value);
        }
        Ok(values)
    }
}

/// The values of a list; `None` if it is none, or has more than `most`. No more are read.
pub(crate) fn list(text: &str, most: usize) -> Option<Vec<&RawValue>> {
    serde_json::Deserializer::from_str(text)
        .deserialize_seq(AtMost(most))
        .ok()
}

impl Params {
    /// The text.
    pub(crate) fn get(&self) -> &str {
        &self.0
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Without the values.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params({} bytes)", self.0.len())
    }
}

impl Line {
    /// Number of requests.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Batch(parts) => parts.len(),
        }
    }

    fn calls(&self) -> Vec<&Call> {
        match self {
            Self::One(call) => vec![call],
            Self::Batch(parts) => parts.iter().filter_map(|part| part.as_ref().ok()).collect(),
        }
    }

    /// Whether one of its requests is of this kind.
    pub(crate) fn has(&self, is: impl Fn(&Call) -> bool) -> bool {
        self.calls().into_iter().any(is)
    }
}

/// Parses a line. No error contains a part of it: it may have keys.
///
/// # Errors
/// The line is not JSON, neither a request nor a batch, or has too many requests.
pub(crate) fn parse(line: &[u8]) -> Result<Line, Refused> {
    let refused = |error| Refused { id: None, error };
    let text = std::str::from_utf8(line).map_err(|_| refused(RpcError::not_json()))?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| refused(RpcError::not_json()))?;
    if !whole.get().starts_with('[') {
        return call(whole).map(Line::One);
    }
    // It is valid JSON.
    let Some(parts) = list(whole.get(), MAX_BATCH) else {
        let message = format!("a batch has at most {MAX_BATCH} requests: send several batches");
        return Err(refused(RpcError::invalid(message)));
    };
    if parts.is_empty() {
        return Err(refused(RpcError::invalid("a batch needs at least one request")));
    }
    Ok(Line::Batch(parts.into_iter().map(call).collect()))
}

fn call(part: &RawValue) -> Result<Call, Refused> {
    // A list would be read as the fields in their order.
    let envelope = part
        .get()
        .starts_with('{')
        .then(|| serde_json::from_str::<Envelope<'_>>(part.get()));
    let Some(Ok(Envelope { id, method, params })) = envelope else {
        let only = part
            .get()
            .starts_with('{')
            .then(|| serde_json::from_str::<IdOnly<'_>>(part.get()));
        let id = only.and_then(Result::ok).and_then(|only| only.id);
        let expected = "expected a request: {\"jsonrpc\":\"2.0\",\"id\":…,\"method\":\"…\",\"params\":[…]}";
        return Err(Refused {
            id: short(id)?,
            error: RpcError::invalid(expected),
        });
    };
    let id = short(id)?;
    let params = params.map_or("", RawValue::get);
    if !(params.is_empty() || params.starts_with(['[', '{'])) {
        let error = RpcError::parameter("params: expected a list, or an object with names");
        return Err(Refused { id, error });
    }
    if method.len() > MAX_METHOD {
        let error = RpcError::unknown_method(format!("method: expected at most {MAX_METHOD} characters"));
        return Err(Refused { id, error });
    }
    Ok(Call {
        id,
        method,
        params: Params(Zeroizing::new(params.to_owned())),
    })
}

/// An id that is kept until its request is answered.
fn short(id: Option<&RawValue>) -> Result<Option<Id>, Refused> {
    if id.is_some_and(|id| id.get().len() > MAX_ID) {
        let error = RpcError::invalid(format!("id: expected at most {MAX_ID} bytes"));
        return Err(Refused { id: None, error });
    }
    Ok(id.map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use crate::limits::MAX_LINE;

    fn one(line: &str) -> Call {
        match parse(line.as_bytes()) {
            Ok(Line::One(call)) => call,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn code(line: &str) -> i64 {
        parse(line.as_bytes()).unwrap_err().error.code
    }

    #[test]
    fn ids_are_kept_as_they_are_written() {
        for id in [
            "7",
            "\"a\\u0041\"",
            "null",
            "1e2",
            "123456789012345678901234567890",
            "[1, 2]",
        ] {
            let call = one(&format!(r#"{{"id": {id}, "method": "server.ping"}}"#));
            assert_eq!(call.id.unwrap().get(), id);
        }
        assert!(one(r#"{"method": "server.ping", "params": null}"#).id.is_none());
    }

    #[test]
    fn parameters_by_position_or_by_name() {
        let by_position = one(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":["a",1]}"#);
        assert_eq!(by_position.params.get(), r#"["a",1]"#);
        let by_name = one(r#"{"id":1,"method":"m","params":{"a":1}}"#);
        assert_eq!(by_name.params.get(), r#"{"a":1}"#);
        assert!(!format!("{by_name:?}").contains(r#"{"a""#), "they may be keys");
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_code_of_its_kind() {
        for (line, expected) in [
            ("", -32_700),
            ("{", -32_700),
            ("GET / HTTP/1.1", -32_700),
            ("{} {}", -32_700),
            ("7", -32_600),
            ("{}", -32_600),
            ("[]", -32_600),
            (r#"[["a","server.ping"]"#, -32_700),
            (r#"{"id":1,"method":5}"#, -32_600),
            (r#"{"id":1,"method":"m","method":"m"}"#, -32_600),
            (r#"{"id":1,"method":"m","params":5}"#, -32_602),
        ] {
            assert_eq!(code(line), expected, "{line}");
        }
        assert_eq!(parse(b"\xff").unwrap_err().error.code, -32_700);
        assert_eq!(parse(br#"{"id":5}"#).unwrap_err().id.unwrap().get(), "5");
        let long = format!(r#"{{"id":1,"method":"{}"}}"#, "m".repeat(MAX_METHOD + 1));
        assert_eq!(code(&long), -32_601);
        let long = format!(r#"{{"id":"{}","method":"m"}}"#, "i".repeat(MAX_ID));
        assert_eq!(code(&long), -32_600);
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep), -32_700);
    }

    #[test]
    fn a_batch_keeps_its_order_and_its_faults() {
        let line = r#"[{"id":1,"method":"a"}, 5, {"id":2,"method":"b"}]"#;
        let Ok(Line::Batch(parts)) = parse(line.as_bytes()) else {
            panic!("a batch")
        };
        let ids: Vec<_> = parts
            .iter()
            .map(|part| part.as_ref().ok().and_then(|call| call.id.as_ref()).map(|id| id.get()))
            .collect();
        assert_eq!(ids, [Some("1"), None, Some("2")]);
        let Ok(Line::Batch(parts)) = parse(br#"[["a","server.ping"]]"#) else {
            panic!("a batch")
        };
        assert!(parts[0].is_err(), "a list is no request");
        let many = format!("[{}]", vec!["1"; MAX_BATCH + 1].join(","));
        assert_eq!(code(&many), -32_600);
    }

    /// What a parsed line holds is bounded by its text, whatever the text is.
    #[test]
    fn a_line_takes_no_more_memory_than_its_text() {
        let values = |value: &str| vec![value; MAX_LINE / 4 / (value.len() + 1)].join(",");
        for params in ["[]", "{}", "0", r#"{"a":{}}"#].map(|value| format!("[{}]", values(value))) {
            let call = one(&format!(r#"{{"id":1,"method":"m","params":{params}}}"#));
            assert_eq!(call.params.len(), params.len());
            assert!(Args::new(&call.params, &["a", "b"]).is_err());
        }
        // No more parts of a batch are read than it may have.
        assert!(list(&format!("[{}]", values("0")), MAX_BATCH).is_none());
        assert_eq!(list("[1, [2], {}]", 3).unwrap()[1].get(), "[2]");
        assert!(list("[1, 2", 3).is_none());
    }
}
