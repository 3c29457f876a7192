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
