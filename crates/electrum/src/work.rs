//! The work of a line: its requests, of which some wait for the node, for the backend or for detection.

use std::sync::Arc;

use sdk_relay_detect::Mailbox;
use sdk_relay_transport::{AnswerShare, SMALL_ANSWER};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::ask::{Answer, Ask, BackendCall, Step};
use crate::backend::Backend;
use crate::error::RpcError;
use crate::handles::Handles;
use crate::methods::no_such_script;
use crate::metrics::Class;
use crate::outputs::Place;
use crate::reply::{Text, answer, batch};
use crate::request::{Call, Id, Line, Refused};
use crate::scans::Scans;
use crate::session::{Session, transaction_call};
use crate::subscribe::{Extents, scan_earlier, subscribe, unsubscribe};

/// What the questions of a connection are answered with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) handles: Arc<Handles>,
    pub(crate) mailbox: Mailbox,
    pub(crate) extents: Extents,
    pub(crate) backend: Option<Backend>,
    pub(crate) scans: watch::Receiver<Scans>,
}

/// A line in work.
pub(crate) struct Work {
    is_batch: bool,
    requests: Vec<Request<Step>>,
}

/// A line whose questions are answered.
pub(crate) struct Finished {
    is_batch: bool,
    pub(crate) is_of_watches: bool,
    requests: Vec<Request<Answer>>,
    /// Memory of the answers beyond the first [`SMALL_ANSWER`] bytes of the line, until it is written.
    shares: Vec<AnswerShare>,
}

struct Request<T> {
    /// `None`: it is not counted, because no client has sent it.
    class: Option<Class>,
    /// `None`: it gets no answer.
    id: Option<Id>,
    is_answered: bool,
    step: T,
}

impl Work {
    /// Gives the requests of a line to the session.
    pub(crate) fn begin(line: Result<Line, Refused>, session: &mut Session) -> Self {
        let (is_batch, parts) = match line {
            Ok(Line::One(call)) => (false, vec![Ok(call)]),
            Ok(Line::Batch(parts)) => (true, parts),
            Err(refused) => (false, vec![Err(refused)]),
        };
        let mut begun = |part: Result<Call, Refused>| match part {
            Ok(mut call) => Request {
                class: Some(Class::of(&call.method)),
                is_answered: call.id.is_some(),
                id: call.id.take(),
                step: session.call(call),
            },
            Err(Refused { id, error }) => Request {
                class: Some(Class::Unknown),
                id,
                is_answered: true,
                step: Step::Done(Err(error)),
            },
        };
        let requests = parts.into_iter().map(&mut begun).collect();
        Self { is_batch, requests }
    }

    /// Registers watches of the blocks before the start of subscriptions, without a request of the client.
    pub(crate) fn earlier_scans() -> Self {
        Self {
            is_batch: false,
            requests: vec![Request {
                class: None,
                id: None,
                is_answered: false,
                step: Step::Ask(Ask::EarlierScans),
            }],
        }
    }

    /// Whether it changes the watches of the connection.
    pub(crate) fn is_of_watches(&self) -> bool {
        let mut asks = self.requests.iter();
        asks.any(|request| matches!(&request.step, Step::Ask(ask) if ask.is_of_watches()))
    }

    /// Answers its questions, one after the other.
    pub(crate) async fn run(self, context: Context) -> Finished {
        let is_of_watches = self.is_of_watches();
        let mut requests = Vec::with_capacity(self.requests.len());
        let (mut bytes, mut shares) = (0, Vec::new());
        for Request {
            class,
            id,
            is_answered,
            step,
        } in self.requests
        {
            let step = match step {
                Step::Done(outcome) => Answer::Text(outcome),
                Step::Ask(ask) => context
                    .answer(ask)
                    .await
                    .unwrap_or_else(|error| Answer::Text(Err(error))),
            };
            let step = context.with_share(step, &mut bytes, &mut shares);
            requests.push(Request {
                class,
                id,
                is_answered,
                step,
            });
        }
        Finished {
            is_batch: self.is_batch,
            is_of_watches,
            requests,
            shares,
        }
    }
}

impl Finished {
    /// The line to send, and its memory; no line if nothing in it gets an answer.
    pub(crate) fn line(self, session: &mut Session, handles: &Handles) -> (Option<String>, Vec<AnswerShare>) {
        let mut answers = Vec::with_capacity(self.requests.len());
        for request in self.requests {
            let outcome = session.answered(request.step);
            if let Some(class) = request.class {
                handles.metrics.count(class, outcome.is_ok());
            }
            if request.is_answered {
                answers.push(answer(request.id.as_deref(), &outcome));
            }
        }
        let line = if self.is_batch { batch(&answers) } else { answers.pop() };
        (line, self.shares)
    }
}

impl Context {
    async fn answer(&self, ask: Ask) -> Result<Answer, RpcError> {
        let (node, address) = (&self.handles.node, self.mailbox.address());
        let text: Text = match ask {
            Ask::Subscribe(order) => {
                let subscribed = subscribe(&self.handles, &self.mailbox, &self.extents, *order).await?;
                return Ok(Answer::Subscribed(Box::new(subscribed)));
            }
            Ask::Unsubscribe(keys) => {
                let address = unsubscribe(&self.handles, &self.mailbox, &self.extents, *keys).await?;
                return Ok(Answer::Unsubscribed { address });
            }
            Ask::EarlierScans => {
                let scans = scan_earlier(&self.handles, &self.mailbox, &self.extents).await;
                return Ok(Answer::EarlierScans(scans));
            }
            Ask::Script { method, script } => {
                let mut scans = self.scans.clone();
                let settled = scans.wait_for(|scans| scans.pending == 0 || scans.found.contains(&script));
                let (found, failure) = match timeout(self.handles.timeouts.node, settled).await {
                    Ok(Ok(scans)) => (scans.found.contains(&script), scans.failure.clone()),
                    _ => {
                        return Err(RpcError::unavailable(
                            "the relay is still scanning blocks in which this script may be paid: try again in a minute",
                        ));
                    }
                };
                return match failure {
                    _ if found => Ok(Answer::Script { method, script }),
                    Some(failure) => Err(failure),
                    None => Err(no_such_script()),
                };
            }
            Ask::Features => node.features(address).await?,
            Ask::Tip => return Ok(Answer::Tip(node.tip().await?)),
            Ask::Header(height) => node.header(address, height).await?,
            Ask::Headers { start, count } => node.headers(address, start, count).await?,
            Ask::Transaction { txid, found } => {
                let text = node.transaction(address, txid, found.unwrap_or(Place::Mempool)).await?;
                match (text, found, &self.backend) {
                    (Some(text), _, _) => text,
                    (None, None, Some(backend)) => self.ask_backend(backend, transaction_call(txid, false)).await?,
                    (None, Some(_), _) => {
                        let message =
                            "the transaction has left its block or the mempool: wait for the next notification";
                        return Err(RpcError::refused(message));
                    }
                    (None, None, None) => {
                        return Err(RpcError::refused(
                            "no such transaction: this relay finds those of the mempool and the silent payments of this connection; for others its \
                             node needs txindex=1, or the relay an Electrum server (electrum.backend)",
                        ));
                    }
                }
            }
            Ask::Merkle { txid, height } => node.merkle(address, txid, height).await?,
            Ask::FromPosition {
                height,
                position,
                with_merkle,
            } => node.at_position(address, height, position, with_merkle).await?,
            Ask::Broadcast(tx) => node.broadcast(address, &tx).await?,
            Ask::Estimate(blocks) => node.estimate(blocks).await?,
            Ask::RelayFee => node.relay_fee().await?,
            Ask::Backend(call) => match &self.backend {
                Some(backend) => self.ask_backend(backend, call).await?,
                None => return Err(RpcError::internal("no backend: please report this bug")),
            },
        };
        Ok(Answer::Text(Ok(text)))
    }

    /// Takes the memory for an answer, where its line has several or large ones; without it, an error is the answer.
    fn with_share(&self, answer: Answer, bytes: &mut u64, shares: &mut Vec<AnswerShare>) -> Answer {
        let Answer::Text(Ok(text)) = &answer else {
            return answer;
        };
        *bytes += text.len() as u64;
        if *bytes <= SMALL_ANSWER {
            return answer;
        }
        match self.handles.answers.share(self.mailbox.address(), text.len()) {
            Some(share) => {
                shares.push(share);
                answer
            }
            None => Answer::Text(Err(RpcError::unavailable(
                "too many bytes of answers are not read yet, of this address or of all clients: read those first, or try again later",
            ))),
        }
    }

    async fn ask_backend(&self, backend: &Backend, call: BackendCall) -> Result<Text, RpcError> {
        backend.call(call, self.handles.timeouts.backend).await
    }
}
