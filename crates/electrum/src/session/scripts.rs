//! `blockchain.scripthash.*`: of the outputs that watches have found; for all other scripts the backend answers.

use serde_json::Value;

use super::Session;
use crate::args::Args;
use crate::ask::{Ask, BackendCall, OfBackend, Step};
use crate::error::RpcError;
use crate::limits::MAX_SCRIPTS;
use crate::methods::{END_SCRIPTS, SCRIPTS, no_such_script, unknown};
use crate::outputs::{Knowledge, ScriptHash};
use crate::reply::{Text, status_text};
use crate::request::Params;

/// The methods, which are also all that the backend is asked about scripts.
const METHODS: [&str; 6] = [
    SCRIPTS,
    END_SCRIPTS,
    "blockchain.scripthash.get_history",
    "blockchain.scripthash.get_mempool",
    "blockchain.scripthash.get_balance",
    "blockchain.scripthash.listunspent",
];

impl Session {
    pub(super) fn script(&mut self, method: &str, params: &Params) -> Result<Step, RpcError> {
        let Some(method) = METHODS.into_iter().find(|known| *known == method) else {
            return Err(unknown(method));
        };
        let args = Args::new(params, &["scripthash"])?;
        let script: ScriptHash = args.parsed(0, "expected the SHA-256 of a script in reverse, 64 hex digits")?;
        let is_subscribe = method == SCRIPTS;
        let is_known = self.scripts.contains_key(&script) || self.backend_scripts.contains_key(&script);
        if is_subscribe && !is_known && self.scripts.len() + self.backend_scripts.len() >= MAX_SCRIPTS {
            let message = format!("a connection has at most {MAX_SCRIPTS} subscriptions to scripts: end some first");
            return Err(RpcError::parameter(message));
        }
        match self.outputs.knowledge(script) {
            Knowledge::Found => Ok(Step::Done(Ok(self.answer(method, script)))),
            // To end a subscription needs no knowledge.
            Knowledge::Ended if method == END_SCRIPTS => Ok(Step::Done(Ok(self.answer(method, script)))),
            Knowledge::Ended => Err(RpcError::refused(
                "the silent payments of this script are not followed any more: subscribe to them again with \
                 blockchain.silentpayments.subscribe",
            )),
            Knowledge::None if self.options.has_backend => {
                match method {
                    // Now: what the backend reports may overtake its answer, which waits for others of its line.
                    SCRIPTS => self.backend_scripts.entry(script).or_default().asked += 1,
                    END_SCRIPTS => drop(self.backend_scripts.remove(&script)),
                    _ => {}
                }
                Ok(Step::Ask(Ask::Backend(BackendCall {
                    method,
                    params: vec![Value::from(script.to_string())],
                })))
            }
            Knowledge::None => {
                // A wallet that comes back asks for outputs from before its start.
                let is_scanning = self
                    .subscriptions
                    .values()
                    .any(|subscription| !subscription.is_scanned());
                if !self.earlier.want() && !is_scanning {
                    return Err(no_such_script());
                }
                self.publish_scans();
                Ok(Step::Ask(Ask::Script { method, script }))
            }
        }
    }

    /// A scan has found a script that a request has waited for.
    pub(super) fn found_script(&mut self, method: &'static str, script: ScriptHash) -> Result<Text, RpcError> {
        match self.outputs.knowledge(script) {
            Knowledge::Found => Ok(self.answer(method, script)),
            Knowledge::Ended | Knowledge::None => Err(no_such_script()),
        }
    }

    /// The backend has answered to a subscription. One that it has refused does not count.
    pub(super) fn at_backend(&mut self, of_backend: OfBackend) -> Result<Text, RpcError> {
        let OfBackend {
            script,
            is_subscribed,
            outcome,
        } = of_backend;
        // Otherwise the client has ended it meanwhile.
        if let Some(at_backend) = self.backend_scripts.get_mut(&script) {
            at_backend.asked = at_backend.asked.saturating_sub(1);
            at_backend.is_subscribed |= is_subscribed;
            if !at_backend.is_subscribed && at_backend.asked == 0 {
                self.backend_scripts.remove(&script);
            }
        }
        outcome
    }

    fn answer(&mut self, method: &str, script: ScriptHash) -> Text {
        match method {
            SCRIPTS => {
                let status = self.outputs.status(script);
                let result = status_text(status.as_deref());
                self.changed.remove(&script);
                self.scripts.insert(script, status);
                result
            }
            END_SCRIPTS => self.scripts.remove(&script).is_some().to_string(),
            "blockchain.scripthash.get_history" => self.outputs.history(script),
            "blockchain.scripthash.get_mempool" => self.outputs.mempool(script),
            "blockchain.scripthash.get_balance" => self.outputs.balance(script),
            _ => self.outputs.unspent_outputs(script),
        }
    }
}
