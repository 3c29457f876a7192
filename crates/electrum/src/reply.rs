//! Writes answers and notifications: one line of JSON each.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::RpcError;

/// A result, as JSON text.
pub(crate) type Text = String;

/// The answer to a request.
pub(crate) fn answer(id: Option<&RawValue>, outcome: &Result<Text, RpcError>) -> String {
    let id = id.map_or("null", RawValue::get);
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(RpcError { code, message }) => {
            let message = text(message);
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#)
        }
    }
}

/// The answer to a batch; `None` if none of its requests has one.
pub(crate) fn batch(answers: &[String]) -> Option<String> {
    (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
}

/// A notification, with its parameters as JSON text.
pub(crate) fn notification(method: &str, params: &str) -> String {
    let method = text(method);
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#)
}

/// JSON of a text.
pub(crate) fn text(value: &str) -> Text {
    Value::from(value).to_string()
}

/// JSON of the status of a script: `null` for one without transactions.
pub(crate) fn status_text(status: Option<&str>) -> Text {
    status.map_or_else(|| "null".to_owned(), text)
}

/// JSON of a number in BTC: with its decimals, not with an exponent.
pub(crate) fn btc(sats: u64) -> Text {
    sdk_relay_protocol::btc(sats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_answers() {
        let id: Box<RawValue> = serde_json::from_str("7").unwrap();
        assert_eq!(
            answer(Some(&id), &Ok("null".to_owned())),
            r#"{"jsonrpc":"2.0","id":7,"result":null}"#
        );
        let error = RpcError::parameter("a \"b\"");
        assert_eq!(
            answer(None, &Err(error)),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"a \"b\""}}"#
        );
        assert_eq!(
            notification("blockchain.headers.subscribe", "[1]"),
            r#"{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[1]}"#
        );
        assert_eq!(
            (batch(&[]), batch(&["1".into(), "2".into()])),
            (None, Some("[1,2]".into()))
        );
        assert_eq!((btc(1_000), btc(100_000_000)), ("0.00001".into(), "1".into()));
    }
}
