//! The Electrum server behind this relay, for one connection: requests about what the relay does not know.
//!
//! The connection to the backend is made at the first request. After it was lost, it is made again at the next one; or
//! at once, and then with growing pauses, if the client has subscribed to scripts there: they are subscribed to again,
//! and changes since then reported. A ping shows that a silent backend is there. Requests and notifications wait in
//! bounded queues.

mod check;
mod link;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sdk_relay_config::ElectrumBackend;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::link::{Link, Message, Reply, Waiting, silent};
use crate::ask::BackendCall;
use crate::error::RpcError;
use crate::limits::{AGAIN_AT_ONCE, BACKEND_AHEAD, REFUSALS};
use crate::methods::{END_SCRIPTS, SCRIPTS};
use crate::outputs::ScriptHash;
use crate::reply::Text;
use crate::timeouts::Timeouts;

pub use self::check::check_backend;
pub(crate) use self::state::BackendState;

/// What the backend reports without a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A script has changed.
    Changed { script: ScriptHash, status: Option<String> },
    /// A subscription that the client has cannot be made again, so that changes would be missed: the client has to
    /// connect again, and gets the answer to its own request then.
    Lost(RpcError),
}

/// Sends requests to the backend.
#[derive(Clone, Debug)]
pub(crate) struct Backend(mpsc::Sender<Request>);

/// The backend has not answered within this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late(pub(crate) Duration);

#[derive(Debug)]
struct Request {
    call: BackendCall,
    reply: Reply,
}

/// Runs the connection to the backend.
pub(crate) struct Driver {
    address: ElectrumBackend,
    timeouts: Timeouts,
    state: BackendState,
    requests: mpsc::Receiver<Request>,
    notices: mpsc::Sender<Notice>,
    /// Scripts to which the client has subscribed, with the status that was reported last. The session bounds them.
    scripts: BTreeMap<ScriptHash, Option<String>>,
    /// Those of them that the backend has refused on this connection.
    refused: BTreeMap<ScriptHash, Refused>,
    /// Changes that the connection has not taken: the newest of each script.
    changes: BTreeMap<ScriptHash, Option<String>>,
    /// Why a subscription is lost. It is reported before the changes.
    lost: Option<RpcError>,
}

/// A subscription that the backend has refused to make again.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    times: u8,
    /// When it is sent again; `None` if it is sent.
    again: Option<Instant>,
}

/// The last attempt to connect has failed.
struct Failed {
    reason: String,
    at: Instant,
    /// Until the next attempt, if no request comes before.
    pause: Duration,
}

impl Backend {
    /// The handle for requests, and what runs them.
    pub(crate) fn new(
        address: ElectrumBackend,
        timeouts: Timeouts,
        state: BackendState,
    ) -> (Self, Driver, mpsc::Receiver<Notice>) {
        let (sender, requests) = mpsc::channel(BACKEND_AHEAD);
        let (notices, taken) = mpsc::channel(BACKEND_AHEAD);
        let driver = Driver {
            address,
            timeouts,
            state,
            requests,
            notices,
            scripts: BTreeMap::new(),
            refused: BTreeMap::new(),
            changes: BTreeMap::new(),
            lost: None,
        };
        (Self(sender), driver, taken)
    }

    /// The answer to a request.
    pub(crate) async fn call(&self, call: BackendCall, within: Duration) -> Result<Result<Text, RpcError>, Late> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.0.send(Request { call, reply }).await.ok()?;
            answer.await.ok()
        };
        match timeout(within, asked).await {
            Ok(answer) => Ok(answer.unwrap_or_else(|| Err(lost("the connection was lost")))),
            Err(_) => Err(Late(within)),
        }
    }
}

impl From<Late> for RpcError {
    fn from(Late(within): Late) -> Self {
        lost(&silent(within))
    }
}

impl Driver {
    /// Runs until the connection of the client ends.
    pub(crate) async fn run(mut self) {
        let mut failed: Option<Failed> = None;
        while let Some(first) = self.next(failed.as_ref()).await {
            let began = Instant::now();
            let reason = match Link::connect(&self.address, self.timeouts.backend).await {
                Ok(link) => match self.serve(link, first).await {
                    Some(reason) => reason,
                    None => return,
                },
                Err(reason) => {
                    if let Some(request) = first {
                        refuse(request, &reason);
                    }
                    reason
                }
            };
            // One that lasts begins with the shortest pause again.
            let (_, longest) = self.timeouts.backend_retry;
            let before = failed.as_ref().filter(|_| began.elapsed() < longest);
            failed = Some(self.failed(reason, before));
        }
    }

    /// Waits until a connection is needed: for a request, or for the scripts. `None`: the connection of the client has
    /// ended.
    async fn next(&mut self, failed: Option<&Failed>) -> Option<Option<Request>> {
        let (shortest, _) = self.timeouts.backend_retry;
        loop {
            let again = failed.map(|failed| failed.at + failed.pause);
            let request = tokio::select! {
                request = self.requests.recv() => request?,
                () = sleep_until(again.unwrap_or_else(Instant::now)), if !self.scripts.is_empty() => {
                    return Some(None);
                }
            };
            match failed {
                // Those that have waited with the one that has failed, and those of a client that does not wait.
                Some(failed) if failed.at.elapsed() < shortest => refuse(request, &failed.reason),
                _ => return Some(Some(request)),
            }
        }
    }

    /// There is no connection. `before`: the attempt before this one has failed too.
    fn failed(&self, reason: String, before: Option<&Failed>) -> Failed {
        self.state.failed(&reason);
        let (shortest, longest) = self.timeouts.backend_retry;
        Failed {
            reason,
            at: Instant::now(),
            pause: before.map_or(shortest, |before| (2 * before.pause).min(longest)),
        }
    }

    /// Passes on requests and answers until the connection is lost. Returns the reason; `None`: that of the client has
    /// ended.
    async fn serve(&mut self, mut link: Link, first: Option<Request>) -> Option<String> {
        let _connected = self.state.connected();
        let mut again: VecDeque<ScriptHash> = self.scripts.keys().copied().collect();
        self.refused.clear();
        let (mut next, notices) = (first, self.notices.clone());
        let reason = loop {
            if let Err(reason) = self.send(&mut link, next.take(), &mut again).await {
                break reason;
            }
            let (ping, lost) = (link.ping_at(self.timeouts.backend_ping), link.lost_at());
            let retry = self.refused.values().filter_map(|refused| refused.again).min();
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => next = Some(request),
                    None => return None,
                },
                line = link.read() => match line.and_then(|line| self.received(&mut link, &line)) {
                    Ok(()) => {}
                    Err(reason) => break reason,
                },
                permit = notices.reserve(), if self.lost.is_some() || !self.changes.is_empty() => {
                    // Without a receiver, the connection of the client is ending.
                    let Ok(permit) = permit else { return None };
                    if let Some(error) = self.lost.take() {
                        permit.send(Notice::Lost(error));
                    } else if let Some((script, status)) = self.changes.pop_first() {
                        permit.send(Notice::Changed { script, status });
                    }
                }
                () = sleep_until(lost.unwrap_or(ping)), if lost.is_some() => break link.silent(),
                () = sleep_until(retry.unwrap_or(ping)), if retry.is_some() => again.extend(self.retried(Instant::now())),
                () = sleep_until(ping) => {
                    let call = BackendCall { method: "server.ping", params: Vec::new() };
                    if let Err(reason) = link.send(&call, Waiting::Ping).await {
                        break reason;
                    }
                }
            }
        };
        // The others are told by the end of their channels, or by their deadlines.
        for (_, (_, waiting)) in std::mem::take(&mut link.waiting) {
            if let Waiting::Client { reply, .. } = waiting {
                answer(reply, Err(lost(&reason)));
            }
        }
        Some(reason)
    }

    /// The subscriptions that were refused, and are to be sent again now.
    fn retried(&mut self, now: Instant) -> Vec<ScriptHash> {
        let mut due = Vec::new();
        for (script, refused) in &mut self.refused {
            if refused.again.is_some_and(|at| at <= now) {
                refused.again = None;
                due.push(*script);
            }
        }
        due
    }

    /// Sends a request of the client, and subscriptions that it had before.
    async fn send(
        &mut self,
        link: &mut Link,
        request: Option<Request>,
        again: &mut VecDeque<ScriptHash>,
    ) -> Result<(), String> {
        if let Some(Request { call, reply }) = request {
            let script = call.script();
            if let Some(script) = script.filter(|_| call.method == END_SCRIPTS) {
                // Whatever the backend answers: the client does not follow it any more.
                self.forget(script);
            }
            let waiting = Waiting::Client {
                reply,
                script: script.map(|script| (call.method, script)),
            };
            link.send(&call, waiting).await?;
        }
        while link.again() < AGAIN_AT_ONCE
            && let Some(script) = again.pop_front()
        {
            // Unless the client has ended it.
            if self.scripts.contains_key(&script) {
                let call = BackendCall {
                    method: SCRIPTS,
                    params: vec![Value::from(script.to_string())],
                };
                link.send(&call, Waiting::Again(script)).await?;
            }
        }
        Ok(())
    }

    fn forget(&mut self, script: ScriptHash) {
        self.scripts.remove(&script);
        self.refused.remove(&script);
        self.changes.remove(&script);
    }

    fn received(&mut self, link: &mut Link, line: &[u8]) -> Result<(), String> {
        let message: Message<'_> =
            serde_json::from_slice(line).map_err(|_| "it has sent a line that is not JSON-RPC".to_owned())?;
        if let Some((_, waiting)) = message.id.and_then(|id| link.waiting.remove(&id)) {
            let error = message.error.filter(|error| !error.is_null());
            let outcome = match error {
                Some(error) => Err(RpcError::of_backend(
                    error["code"].as_i64().unwrap_or(1),
                    error["message"]
                        .as_str()
                        .or(error.as_str())
                        .unwrap_or("an error without a text"),
                )),
                None => Ok(message
                    .result
                    .map_or_else(|| "null".to_owned(), |result| result.get().to_owned())),
            };
            self.answered(waiting, outcome);
            return Ok(());
        }
        let is_change = message.method.as_deref() == Some(SCRIPTS);
        if let (true, Some([Some(script), status])) = (is_change, message.params.as_deref())
            && let Ok(script) = script.parse()
        {
            if let Some(known) = self.scripts.get_mut(&script) {
                known.clone_from(status);
            } else if !link.is_subscribing(script) {
                return Ok(());
            }
            self.changes.insert(script, status.clone());
        }
        Ok(())
    }

    /// Whether a subscription that was refused is sent again: later each time.
    fn try_again(&mut self, script: ScriptHash) -> bool {
        let (shortest, longest) = self.timeouts.backend_retry;
        let refused = self.refused.entry(script).or_default();
        if refused.times >= REFUSALS {
            return false;
        }
        let pause = shortest.saturating_mul(1 << refused.times).min(longest);
        refused.times += 1;
        refused.again = Some(Instant::now() + pause);
        true
    }

    fn answered(&mut self, waiting: Waiting, outcome: Result<Text, RpcError>) {
        let status = |text: &Text| serde_json::from_str::<Option<String>>(text).ok().flatten();
        match waiting {
            Waiting::Client { reply, script } => {
                match (script, &outcome) {
                    // Again, as a subscription before it may have been accepted meanwhile.
                    (Some((END_SCRIPTS, script)), _) => self.forget(script),
                    // One that has come too late is not known to the session, which bounds them.
                    (Some((_, script)), Ok(text)) if !reply.is_closed() => {
                        self.scripts.insert(script, status(text));
                        self.refused.remove(&script);
                    }
                    _ => {}
                }
                answer(reply, outcome);
            }
            // Unless the client has ended it.
            Waiting::Again(script) if !self.scripts.contains_key(&script) => {}
            Waiting::Again(script) => match outcome {
                Ok(text) => {
                    self.state.accepted();
                    self.refused.remove(&script);
                    let now = status(&text);
                    if let Some(known) = self.scripts.get_mut(&script)
                        && *known != now
                    {
                        known.clone_from(&now);
                        self.changes.insert(script, now);
                    }
                }
                Err(error) if self.try_again(script) => {
                    tracing::debug!(
                        reason = error.message,
                        "the Electrum backend refuses a subscription; sending it again"
                    );
                }
                // The script stays: it is subscribed to again if the connection is lost before the client knows.
                Err(error) => {
                    self.state.refused(&error.message);
                    self.lost = Some(RpcError::unavailable(format!(
                        "the Electrum server of this relay (electrum.backend) refuses a subscription that it had before: {}; \
                         connect again and subscribe again",
                        error.message
                    )));
                }
            },
            Waiting::Ping => {}
        }
    }
}

fn lost(reason: &str) -> RpcError {
    RpcError::unavailable(format!(
        "the Electrum server of this relay (electrum.backend): {reason}"
    ))
}

fn refuse(request: Request, reason: &str) {
    tracing::debug!(reason, "the Electrum backend cannot be used");
    answer(request.reply, Err(lost(reason)));
}

fn answer(reply: Reply, outcome: Result<Text, RpcError>) {
    if reply.send(outcome).is_err() {
        tracing::debug!("an answer of the Electrum backend came after the deadline of its request");
    }
}

#[cfg(test)]
mod tests;
