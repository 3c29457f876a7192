//! JSON-RPC requests and replies.
//!
//! Version 1.1, which every node version supports: errors of a single call come with HTTP 404 or 500 and the same JSON
//! body, so the body decides.

use hyper::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::{
    RpcError, ServerError,
    error::{code, excerpt},
};

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ServerError>,
}

#[derive(Deserialize)]
struct BatchReply {
    id: usize,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ServerError>,
}

/// Outcome of one call of a batch: its result as the node wrote it (`None` is `null`), or the error of the node.
pub(crate) type RawOutcome = Result<Option<Box<RawValue>>, ServerError>;

/// Body of a single call.
pub(super) fn request(method: &str, params: &Value) -> Vec<u8> {
    call(0, method, params).into_bytes()
}

/// Body of a batch; the position of a call is its id.
pub(super) fn batch(calls: &[(&str, Value)]) -> Vec<u8> {
    let calls = calls.iter().enumerate();
    let calls: Vec<String> = calls.map(|(id, (method, params))| call(id, method, params)).collect();
    format!("[{}]", calls.join(",")).into_bytes()
}

/// One call. `Display` of a [`Value`] cannot fail.
fn call(id: usize, method: &str, params: &Value) -> String {
    format!(r#"{{"id":{id},"method":{},"params":{params}}}"#, Value::from(method))
}

/// The result of a single call.
pub(super) fn reply<T: DeserializeOwned>(
    at: &str,
    method: &str,
    status: StatusCode,
    body: &[u8],
) -> Result<T, RpcError> {
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|e| unreadable(method, status, body, &e))?;
    match reply.error {
        Some(error) => Err(RpcError::from_server(at, method, error)),
        None => {
            serde_json::from_str(reply.result.map_or("null", RawValue::get)).map_err(|e| RpcError::malformed(method, e))
        }
    }
}

/// The outcomes of a batch in the order of its calls.
pub(super) fn batch_reply(
    at: &str,
    calls: &[(&str, Value)],
    status: StatusCode,
    body: &[u8],
) -> Result<Vec<RawOutcome>, RpcError> {
    let what = calls.first().map_or("a batch", |(method, _)| method);
    let Ok(replies) = serde_json::from_slice::<Vec<BatchReply>>(body) else {
        // A node that refuses the whole batch answers as to a single call.
        return match reply::<Value>(at, what, status, body) {
            Ok(_) => Err(RpcError::malformed(what, "expected an array of replies")),
            Err(error) => Err(error),
        };
    };
    let mut outcomes: Vec<Option<RawOutcome>> = vec![None; calls.len()];
    for reply in replies {
        if let Some(error) = reply.error.as_ref().filter(|e| e.code == code::IN_WARMUP) {
            return Err(RpcError::from_server(at, what, error.clone()));
        }
        let outcome = match reply.error {
            Some(error) => Err(error),
            None => Ok(reply.result),
        };
        if let Some(place) = outcomes.get_mut(reply.id) {
            *place = Some(outcome);
        }
    }
    let complete: Option<Vec<_>> = outcomes.into_iter().collect();
    complete.ok_or_else(|| RpcError::malformed(what, "a reply is missing"))
}

fn unreadable(method: &str, status: StatusCode, body: &[u8], error: &serde_json::Error) -> RpcError {
    let reason = if status.is_success() {
        error.to_string()
    } else {
        format!("HTTP {status}: {}", excerpt(body))
    };
    RpcError::malformed(method, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_are_json() {
        let params = json!(["a\"b", 1, null]);
        let single: Value = serde_json::from_slice(&request("getblock", &params)).unwrap();
        assert_eq!(single, json!({"id": 0, "method": "getblock", "params": params}));
        let calls = [("a", json!([])), ("b", params.clone())];
        let both: Value = serde_json::from_slice(&batch(&calls)).unwrap();
        assert_eq!(
            both,
            json!([{"id": 0, "method": "a", "params": []}, {"id": 1, "method": "b", "params": params}])
        );
        assert_eq!(batch(&[]), b"[]");
    }

    #[test]
    fn the_body_decides_not_the_status() {
        let body = br#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":0}"#;
        let error = reply::<String>("n:1", "getblockhash", StatusCode::INTERNAL_SERVER_ERROR, body).unwrap_err();
        assert_eq!(error.server().unwrap().code, code::INVALID_PARAMETER);
        let value = reply::<Option<u8>>(
            "n:1",
            "gettxout",
            StatusCode::OK,
            br#"{"result":null,"error":null,"id":0}"#,
        );
        assert_eq!(value.unwrap(), None);
    }

    #[test]
    fn batch_replies_are_put_in_order_and_none_may_be_missing() {
        let calls = vec![("a", json!([])), ("b", json!([]))];
        let swapped =
            br#"[{"result":null,"error":{"code":-5,"message":"no"},"id":1},{"result":7,"error":null,"id":0}]"#;
        let outcomes = batch_reply("n:1", &calls, StatusCode::OK, swapped).unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap().as_ref().unwrap().get(), "7");
        assert_eq!(outcomes[1].as_ref().unwrap_err().code, code::NOT_FOUND);

        let short = br#"[{"result":7,"error":null,"id":0}]"#;
        assert!(matches!(
            batch_reply("n:1", &calls, StatusCode::OK, short),
            Err(RpcError::Malformed { .. })
        ));
    }

    #[test]
    fn a_starting_node_is_distinguished() {
        let warming = br#"{"result":null,"error":{"code":-28,"message":"Loading block index..."},"id":0}"#;
        let calls = vec![("a", json!([]))];
        for error in [
            reply::<Value>("n:1", "a", StatusCode::INTERNAL_SERVER_ERROR, warming).unwrap_err(),
            batch_reply("n:1", &calls, StatusCode::OK, &[b"[", &warming[..], b"]"].concat()).unwrap_err(),
            batch_reply("n:1", &calls, StatusCode::OK, warming).unwrap_err(),
        ] {
            assert!(matches!(error, RpcError::Warming { .. }), "{error:?}");
        }
    }
}
