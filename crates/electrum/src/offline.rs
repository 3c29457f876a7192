//! The protocol of a connection whose node, backend and detection do not answer: what clients send reaches the session
//! and nothing else. For fuzzing.

use tokio::time::Instant;

use crate::ask::{Answer, Step};
use crate::error::RpcError;
use crate::reply::answer;
use crate::request::{Line, parse};
use crate::session::{Options, Session};
use crate::timeouts::Timeouts;

/// A session without a relay.
#[derive(Debug)]
pub struct Offline(Session);

impl Default for Offline {
    fn default() -> Self {
        Self(Session::new(Options {
            takes_keys: true,
            max_labels: 1_000,
            max_subscriptions: 1_000,
            has_backend: false,
            is_positional: false,
            timeouts: Timeouts::default(),
        }))
    }
}

impl Offline {
    /// The answers to a line, and the notifications after it.
    pub fn line(&mut self, line: &[u8]) -> Vec<String> {
        let parts = match parse(line) {
            Ok(Line::One(call)) => vec![Ok(call)],
            Ok(Line::Batch(parts)) => parts,
            Err(refused) => vec![Err(refused)],
        };
        let mut lines = Vec::new();
        for part in parts {
            let (id, outcome) = match part {
                Ok(mut call) => {
                    let id = call.id.take();
                    let outcome = match self.0.call(call) {
                        Step::Done(outcome) => outcome,
                        Step::Ask(_) => {
                            let away = Err(RpcError::unavailable("nobody answers"));
                            self.0.answered(Answer::Text(away))
                        }
                    };
                    (id, outcome)
                }
                Err(refused) => (refused.id, Err(refused.error)),
            };
            lines.push(answer(id.as_deref(), &outcome));
        }
        lines.extend(self.0.due(Instant::now()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Methods that exist, and others.
    fn any_method() -> impl Strategy<Value = String> {
        let known = [
            "server.version",
            "server.ping",
            "blockchain.headers.subscribe",
            "blockchain.block.header",
            "blockchain.block.headers",
            "blockchain.transaction.get",
            "blockchain.transaction.get_merkle",
            "blockchain.transaction.id_from_pos",
            "blockchain.transaction.broadcast",
            "blockchain.estimatefee",
            "blockchain.silentpayments.subscribe",
            "blockchain.silentpayments.unsubscribe",
            "blockchain.scripthash.subscribe",
            "blockchain.scripthash.get_history",
        ];
        prop_oneof![
            prop::sample::select(known.to_vec()).prop_map(str::to_owned),
            any::<String>()
        ]
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("00".repeat(32))),
            Just(json!("5-7")),
            Just(json!(1_700_000_000)),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..3)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    /// Without fractions, of which a parser may lose the last digit.
    fn any_id() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            prop::collection::vec(any::<u64>(), 0..4).prop_map(Value::from),
        ]
    }

    /// Each answer is one line of JSON, and says in few words what is wrong.
    fn answered(line: &[u8]) -> Result<Vec<Value>, TestCaseError> {
        let mut answers = Vec::new();
        for answer in Offline::default().line(line) {
            prop_assert!(!answer.contains('\n'), "{}", answer);
            let message: Value = serde_json::from_str(&answer).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(message["error"]["message"].as_str().unwrap_or_default().len() <= 1024);
            answers.push(message);
        }
        Ok(answers)
    }

    proptest! {
        #[test]
        fn any_request_has_an_answer(method in any_method(), params in any_value(), id in any_id()) {
            let line = json!({"id": id, "method": method, "params": params}).to_string();
            let answers = answered(line.as_bytes())?;
            prop_assert_eq!(answers.len(), 1);
            prop_assert_eq!(answers[0]["id"].to_string(), id.to_string());
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
            answered(&bytes)?;
            // A request with a byte changed.
            let mut line = br#"[{"id":1,"method":"blockchain.block.header","params":{"height":5}},{"method":"server.ping"}]"#.to_vec();
            let at = at % line.len();
            line[at] = bytes.first().copied().unwrap_or(b'"');
            answered(&line)?;
        }
    }
}
