//! Parses lines: JSON-RPC 2.0, one request or one batch in each.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::RpcError;
use crate::limits::{MAX_BATCH, MAX_METHOD};

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

/// Parameters of a request.
#[derive(Debug)]
pub(crate) enum Params {
    /// By position.
    Positional(Vec<Value>),
    /// By name.
    Named(Map<String, Value>),
}

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
    #[serde(default)]
    params: Option<Value>,
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
    let parts: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(|_| refused(RpcError::not_json()))?;
    if parts.is_empty() {
        return Err(refused(RpcError::invalid("a batch needs at least one request")));
    }
    if parts.len() > MAX_BATCH {
        let message = format!("a batch has at most {MAX_BATCH} requests: send several batches");
        return Err(refused(RpcError::invalid(message)));
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
            id: id.map(ToOwned::to_owned),
            error: RpcError::invalid(expected),
        });
    };
    let id = id.map(ToOwned::to_owned);
    let params = match params {
        None | Some(Value::Null) => Params::Positional(Vec::new()),
        Some(Value::Array(values)) => Params::Positional(values),
        Some(Value::Object(values)) => Params::Named(values),
        Some(_) => {
            let error = RpcError::parameter("params: expected a list, or an object with names");
            return Err(Refused { id, error });
        }
    };
    if method.len() > MAX_METHOD {
        let error = RpcError::unknown_method(format!("method: expected at most {MAX_METHOD} characters"));
        return Err(Refused { id, error });
    }
    Ok(Call { id, method, params })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(by_position.params, Params::Positional(values) if values.len() == 2));
        let by_name = one(r#"{"id":1,"method":"m","params":{"a":1}}"#);
        assert!(matches!(by_name.params, Params::Named(values) if values.len() == 1));
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
}
