//! One end of a link: outgoing requests, and the responses to them; the same for both directions.

use std::collections::HashMap;
use std::sync::Arc;

use sdk_relay_events::Frame;
use sdk_relay_mesh::{CloseReason, LinkId};
use sdk_relay_protocol::SyncReply;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::bindings::Origin;
use super::proof::Proven;
use crate::sync::Asker;

/// Capacity of the queue of a link's task. A handful of timers send one item at a time.
const WORK_QUEUE: usize = 32;
/// Most requests that wait for a response; the next one fails immediately.
const MAX_PENDING: usize = 64;

/// Work for a link's task.
#[derive(Debug)]
pub(super) enum Work {
    Ask(Ask),
    Close(CloseReason),
}

/// A request, and the receiver of its response.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) frame: Frame,
    pub(super) message_id: String,
    pub(super) reply: oneshot::Sender<SyncReply>,
}

/// The handle of a link's task.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) id: LinkId,
    pub(super) relay_id: String,
    pub(super) dialled: bool,
    /// The peer, as the response cache and the history identify it.
    pub(super) peer: Arc<Asker>,
    pub(super) public_key: String,
    pub(super) origin: Origin,
    pub(super) since: Instant,
    work: mpsc::Sender<Work>,
}

impl Handle {
    /// Returns false if the link has ended or its queue is full.
    pub(super) fn enqueue(&self, work: Work) -> bool {
        self.work.try_send(work).is_ok()
    }
}

/// The task's half of a link.
#[derive(Debug)]
pub(super) struct Exchange {
    work: mpsc::Receiver<Work>,
    awaited: HashMap<String, oneshot::Sender<SyncReply>>,
}

/// A step for the socket.
#[derive(Debug)]
pub enum LinkStep {
    /// Send this.
    Send(Frame),
    /// Close it.
    Close(&'static str),
}

pub(super) fn link(id: LinkId, peer: &Proven, dialled: bool, origin: Origin) -> (Handle, Exchange) {
    let (sender, work) = mpsc::channel(WORK_QUEUE);
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
    /// The next step. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkStep {
        loop {
            match self.work.recv().await {
                Some(Work::Close(reason)) => return LinkStep::Close(reason_text(reason)),
                None => return LinkStep::Close("the relay is leaving the mesh"),
                Some(Work::Ask(ask)) => {
                    self.awaited.retain(|_, reply| !reply.is_closed());
                    if self.awaited.len() < MAX_PENDING {
                        self.awaited.insert(ask.message_id, ask.reply);
                        return LinkStep::Send(ask.frame);
                    }
                }
            }
        }
    }

    /// A response arrived. Returns false if no request waits for it.
    pub(super) fn answered(&mut self, reply: SyncReply) -> bool {
        self.awaited
            .remove(&reply.in_reply_to)
            .is_some_and(|waiting| waiting.send(reply).is_ok())
    }
}

fn reason_text(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Duplicate => "duplicate link: the relays already have another one",
        CloseReason::Full => "all link slots are in use",
        CloseReason::Passing => "the exchange is complete",
        CloseReason::SlotNeeded => "the link slot is needed for another relay",
        CloseReason::Silent => "nothing received for too long",
        CloseReason::Misbehaving => "the other relay sent invalid gossip",
        CloseReason::SelfConnection => "the other side is this relay itself",
        CloseReason::Leaving => "the relay is leaving the mesh",
        CloseReason::Failed => "an internal error of this relay",
    }
}
