//! One end of a link: requests that go out, and the answers that belong to them. The same whoever dialled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_events::Frame;
use sdk_relay_mesh::{CloseReason, LinkId};
use sdk_relay_protocol::SyncReply;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::bindings::Origin;
use super::proof::Proven;
use crate::sync::Asker;

/// Work that waits for a link's task. Each of a handful of timers leaves one at a time.
const WORK_AHEAD: usize = 32;
/// Requests whose answer is awaited. When there are as many, the next fails at once.
const AWAITED: usize = 64;
/// For an answer. The other takes milliseconds; this is several retransmissions.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What a link's task is to do.
#[derive(Debug)]
pub(super) enum Work {
    Ask(Ask),
    Close(CloseReason),
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) frame: Frame,
    pub(super) message_id: String,
    pub(super) reply: oneshot::Sender<SyncReply>,
}

/// How a link's task is reached.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) id: LinkId,
    pub(super) relay_id: String,
    pub(super) dialled: bool,
    /// Who stands at the other end, as the cache of answers and the history name it.
    pub(super) peer: Arc<Asker>,
    pub(super) public_key: String,
    pub(super) origin: Origin,
    pub(super) since: Instant,
    work: mpsc::Sender<Work>,
}

impl Handle {
    /// False when the link is gone, or has more to do than it can.
    pub(super) fn leave(&self, work: Work) -> bool {
        self.work.try_send(work).is_ok()
    }
}

/// The task's own part of a link.
#[derive(Debug)]
pub(super) struct Exchange {
    work: mpsc::Receiver<Work>,
    awaited: HashMap<String, oneshot::Sender<SyncReply>>,
}

/// What is to be done with the socket.
#[derive(Debug)]
pub enum LinkStep {
    /// Send this.
    Send(Frame),
    /// Close it.
    Close(&'static str),
}

pub(super) fn link(id: LinkId, peer: &Proven, dialled: bool, origin: Origin) -> (Handle, Exchange) {
    let (sender, work) = mpsc::channel(WORK_AHEAD);
    let handle = Handle {
        id,
        relay_id: peer.relay_id.clone(),
        dialled,
        peer: Arc::new(Asker::Proven {
            relay_id: peer.relay_id.clone(),
            public_key: peer.public_key.clone(),
        }),
        public_key: peer.public_key.clone(),
        origin,
        since: Instant::now(),
        work: sender,
    };
    let awaited = HashMap::new();
    (handle, Exchange { work, awaited })
}

impl Exchange {
    /// The next thing to do. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkStep {
        loop {
            match self.work.recv().await {
                Some(Work::Close(reason)) => return LinkStep::Close(word(reason)),
                None => return LinkStep::Close("the relay is leaving the mesh"),
                Some(Work::Ask(ask)) => {
                    self.awaited.retain(|_, reply| !reply.is_closed());
                    if self.awaited.len() < AWAITED {
                        self.awaited.insert(ask.message_id, ask.reply);
                        return LinkStep::Send(ask.frame);
                    }
                }
            }
        }
    }

    /// An answer came. False when nobody waits for it.
    pub(super) fn answered(&mut self, reply: SyncReply) -> bool {
        self.awaited
            .remove(&reply.in_reply_to)
            .is_some_and(|waiting| waiting.send(reply).is_ok())
    }
}

fn word(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Duplicate => "duplicate link: the relays already have another one",
        CloseReason::Full => "all link slots are in use",
        CloseReason::Passing => "the exchange is complete",
        CloseReason::MakesRoom => "the link slot is needed for another relay",
        CloseReason::Silent => "nothing received for too long",
        CloseReason::Dishonest => "the other relay sent invalid gossip",
        CloseReason::Own => "the other side is this relay itself",
        CloseReason::Leaving => "the relay is leaving the mesh",
        CloseReason::Failed => "an internal error of this relay",
    }
}
