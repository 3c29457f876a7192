//! The work of a line: its requests, of which some wait for the node, for the backend or for detection.
//!
//! A batch with subscriptions to silent payments has two phases: first those, then its other requests, which may be
//! about what the subscriptions find.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sdk_relay_detect::Mailbox;
use sdk_relay_transport::{AnswerShare, SMALL_ANSWER};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::ask::{Answer, Ask, BackendCall, OfBackend, Step};
use crate::backend::{Backend, Late};
use crate::error::RpcError;
use crate::extents::Extents;
use crate::handles::Handles;
use crate::limits::LATER_BYTES;
use crate::methods::{SUBSCRIBE, UNSUBSCRIBE, no_such_script};
use crate::metrics::Class;
use crate::outputs::Place;
use crate::reply::{Text, answer, batch};
use crate::request::{Call, Id, Line, Refused};
use crate::scans::Scans;
use crate::session::{Session, transaction_call};
use crate::subscribe::{scan_earlier, subscribe, unsubscribe};

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
    /// Whether it has requests that change the watches of the connection.
    pub(crate) changes_watches: bool,
    requests: Vec<Request>,
    /// Memory of the answers beyond the first [`SMALL_ANSWER`] bytes of the line, until it is written.
    shares: Shares,
}

#[derive(Default)]
struct Shares {
    bytes: u64,
    shares: Vec<AnswerShare>,
}

struct Request {
    /// `None`: it is not counted, because no client has sent it.
    class: Option<Class>,
    /// `None`: it gets no answer.
    id: Option<Id>,
    is_answered: bool,
    part: Part,
}

enum Part {
    /// It is handled when the watches of its line are registered.
    Later(Call),
    Ask(Ask),
    Answer(Answer),
}

/// Whether the line has waited for the backend in vain: its other requests do not wait as long again.
type Waited = AtomicBool;

impl From<Step> for Part {
    fn from(step: Step) -> Self {
        match step {
            Step::Done(outcome) => Self::Answer(Answer::Text(outcome)),
            Step::Ask(ask) => Self::Ask(ask),
        }
    }
}

/// Whether a request changes the watches of its connection.
pub(crate) fn changes_watches(call: &Call) -> bool {
    [SUBSCRIBE, UNSUBSCRIBE].contains(&call.method.as_str())
}

impl Work {
    /// Gives the requests of a line to the session.
    pub(crate) fn begin(line: Result<Line, Refused>, session: &mut Session) -> Self {
        let has_watches = line.as_ref().is_ok_and(|line| line.has(changes_watches));
        let (is_batch, parts) = match line {
            Ok(Line::One(call)) => (false, vec![Ok(call)]),
            Ok(Line::Batch(parts)) => (true, parts),
            Err(refused) => (false, vec![Err(refused)]),
        };
        let mut later_bytes = 0;
        let mut begun = |part: Result<Call, Refused>| match part {
            Ok(mut call) => Request {
                class: Some(Class::of(&call.method)),
                is_answered: call.id.is_some(),
                id: call.id.take(),
                part: if !has_watches || changes_watches(&call) {
                    session.call(call).into()
                } else {
                    later(call, &mut later_bytes)
                },
            },
            Err(Refused { id, error }) => Request {
                class: Some(Class::Unknown),
                id,
                is_answered: true,
                part: Part::Answer(Answer::Text(Err(error))),
            },
        };
        let requests = parts.into_iter().map(&mut begun).collect();
        Self::new(is_batch, has_watches, requests)
    }

    /// Registers watches of the blocks before the start of subscriptions, without a request of the client.
    pub(crate) fn earlier_scans() -> Self {
        let request = Request {
            class: None,
            id: None,
            is_answered: false,
            part: Part::Ask(Ask::EarlierScans),
        };
        Self::new(false, false, vec![request])
    }

    fn new(is_batch: bool, changes_watches: bool, requests: Vec<Request>) -> Self {
        Self {
            is_batch,
            changes_watches,
            requests,
            shares: Shares::default(),
        }
    }

    /// Whether it has questions.
    pub(crate) fn has_questions(&self) -> bool {
        self.requests.iter().any(|request| matches!(request.part, Part::Ask(_)))
    }

    /// Whether its questions are those that change the watches of the connection.
    pub(crate) fn is_registering(&self) -> bool {
        let mut parts = self.requests.iter().map(|request| &request.part);
        parts.any(|part| matches!(part, Part::Ask(ask) if ask.is_of_watches()))
    }

    /// Answers its questions, one after the other; but those that wait for scans or for the backend together.
    pub(crate) async fn run(self, context: Context) -> Self {
        let Self {
            is_batch,
            changes_watches,
            mut requests,
            shares,
        } = self;
        let shares = Mutex::new(shares);
        let has_waited = Waited::new(false);
        let (mut alone, together) = (Vec::new(), FuturesUnordered::new());
        if let Err(error) = context.share_broadcasts(&requests, &shares) {
            for request in &mut requests {
                if let Part::Ask(Ask::Broadcast(_)) = &request.part {
                    request.part = Part::Answer(Answer::Text(Err(error.clone())));
                }
            }
        }
        for request in &mut requests {
            match std::mem::replace(&mut request.part, Part::Answer(Answer::Text(Ok(Text::new())))) {
                Part::Ask(question) if question.waits_for_others() => {
                    together.push(context.fill(&mut request.part, question, &has_waited, &shares));
                }
                Part::Ask(question) => alone.push((&mut request.part, question)),
                // It waits for the others of its line.
                Part::Answer(answer) => request.part = Part::Answer(context.with_share(answer, &shares)),
                part @ Part::Later(_) => request.part = part,
            }
        }
        let one_by_one = async {
            for (part, question) in alone {
                context.fill(part, question, &has_waited, &shares).await;
            }
        };
        tokio::join!(one_by_one, together.collect::<()>());
        Self {
            is_batch,
            changes_watches,
            requests,
            shares: shares.into_inner().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Gives the answers about watches to the session, then the requests that have waited for them.
    pub(crate) fn watches_are_registered(&mut self, session: &mut Session) {
        for request in &mut self.requests {
            let part = std::mem::replace(&mut request.part, Part::Answer(Answer::Text(Ok(Text::new()))));
            request.part = match part {
                Part::Answer(answer) if answer.is_of_watches() => Part::Answer(Answer::Text(session.answered(answer))),
                other => other,
            };
        }
        for request in &mut self.requests {
            let part = std::mem::replace(&mut request.part, Part::Answer(Answer::Text(Ok(Text::new()))));
            request.part = match part {
                Part::Later(call) => session.call(call).into(),
                other => other,
            };
        }
    }

    /// The line to send to this address, and its memory; no line if nothing in it gets an answer.
    pub(crate) fn line(
        self,
        session: &mut Session,
        handles: &Handles,
        address: IpAddr,
    ) -> (Option<String>, Vec<AnswerShare>) {
        // Taken again with those of the answers that the session makes.
        drop(self.shares);
        let mut shares = Shares::default();
        let mut answers = Vec::with_capacity(self.requests.len());
        for request in self.requests {
            let outcome = match request.part {
                Part::Answer(answer) => session.answered(answer),
                Part::Later(_) | Part::Ask(_) => Err(RpcError::internal("no answer: please report this bug")),
            };
            let outcome = outcome.and_then(|text| match shares.take(handles, address, text.len()) {
                true => Ok(text),
                false => Err(unread()),
            });
            if let Some(class) = request.class {
                handles.metrics.count(class, outcome.is_ok());
            }
            if request.is_answered {
                answers.push(answer(request.id.as_deref(), &outcome));
            }
        }
        let line = if self.is_batch { batch(&answers) } else { answers.pop() };
        (line, shares.shares)
    }
}

impl Shares {
    /// Takes the memory for so many bytes more. The first bytes of a line need no share.
    fn take(&mut self, handles: &Handles, address: IpAddr, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        if bytes == 0 || self.bytes <= SMALL_ANSWER {
            return true;
        }
        let share = handles.answers.share(address, bytes);
        let has_share = share.is_some();
        self.shares.extend(share);
        has_share
    }
}

fn unread() -> RpcError {
    RpcError::unavailable(
        "too many bytes of answers are not read yet, of this address or of all clients: read those first, or try again later",
    )
}

fn later(call: Call, bytes: &mut usize) -> Part {
    *bytes += call.params.len();
    if *bytes > LATER_BYTES {
        let message = format!(
            "a batch with blockchain.silentpayments.subscribe has at most {LATER_BYTES} bytes of other parameters: send them in \
             another line"
        );
        return Part::Answer(Answer::Text(Err(RpcError::invalid(message))));
    }
    Part::Later(call)
}

impl Context {
    /// Answers a question.
    async fn fill(&self, part: &mut Part, ask: Ask, has_waited: &Waited, shares: &Mutex<Shares>) {
        let answer = self.answer(ask, has_waited).await;
        let answer = answer.unwrap_or_else(|error| Answer::Text(Err(error)));
        *part = Part::Answer(self.with_share(answer, shares));
    }

    async fn answer(&self, ask: Ask, has_waited: &Waited) -> Result<Answer, RpcError> {
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
            Ask::Features { silent } => node.features(address, silent && self.handles.index.is_some()).await?,
            Ask::Tip => return Ok(Answer::Tip(node.tip().await?)),
            Ask::Header(height) => node.header(address, height).await?,
            Ask::Headers { start, count } => node.headers(address, start, count).await?,
            Ask::Transaction { txid, found } => {
                let text = node.transaction(address, txid, found.unwrap_or(Place::Mempool)).await?;
                match (text, found, &self.backend) {
                    (Some(text), _, _) => text,
                    (None, None, Some(backend)) => {
                        self.ask_backend(backend, transaction_call(txid, false), has_waited)
                            .await?
                    }
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
                Some(backend) => {
                    let subscribes_to = call.subscribes_to();
                    let outcome = self.ask_backend(backend, call, has_waited).await;
                    if let Some(script) = subscribes_to {
                        return Ok(Answer::OfBackend(OfBackend {
                            script,
                            is_subscribed: outcome.is_ok(),
                            outcome,
                        }));
                    }
                    outcome?
                }
                None => return Err(RpcError::internal("no backend: please report this bug")),
            },
        };
        Ok(Answer::Text(Ok(text)))
    }

    /// Takes the memory for an answer, where its line has several or large ones; without it, an error is the answer.
    fn with_share(&self, mut answer: Answer, shares: &Mutex<Shares>) -> Answer {
        let outcome = match &mut answer {
            Answer::Text(outcome) => outcome,
            // The session has to know that it is subscribed, whatever the client is told.
            Answer::OfBackend(of_backend) => &mut of_backend.outcome,
            _ => return answer,
        };
        if let Ok(text) = outcome
            && !self.share(text.len(), shares)
        {
            *outcome = Err(unread());
        }
        answer
    }

    /// Takes the memory for the transactions of a line, which wait for their turn at the node.
    fn share_broadcasts(&self, requests: &[Request], shares: &Mutex<Shares>) -> Result<(), RpcError> {
        let bytes = requests.iter().map(|request| match &request.part {
            Part::Ask(Ask::Broadcast(tx)) => tx.total_size(),
            _ => 0,
        });
        if self.share(bytes.sum(), shares) {
            return Ok(());
        }
        Err(RpcError::unavailable(
            "too many bytes of transactions wait for the node, of this address or of all clients: try again later",
        ))
    }

    fn share(&self, bytes: usize, shares: &Mutex<Shares>) -> bool {
        let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.take(&self.handles, self.mailbox.address(), bytes)
    }

    async fn ask_backend(&self, backend: &Backend, call: BackendCall, has_waited: &Waited) -> Result<Text, RpcError> {
        let within = self.handles.timeouts.backend;
        if has_waited.load(Ordering::Relaxed) {
            return Err(Late(within).into());
        }
        match backend.call(call, within).await {
            Ok(answer) => answer,
            Err(late) => {
                has_waited.store(true, Ordering::Relaxed);
                Err(late.into())
            }
        }
    }
}
