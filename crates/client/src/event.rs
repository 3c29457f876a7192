//! What comes to the app without being asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use sdk_relay_protocol::{ErrorMessage, HandshakeResponse, Notification, Resume, SyncMessage, WatchProgress};
use tokio::sync::mpsc;

use crate::Disconnect;
use crate::client::Shared;

/// A message or a change of state.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// Something happened on the chain, in the mesh, or to a watch.
    Notification(Box<Notification>),
    /// The relay's state, health or metrics, on a topic.
    Sync(Box<SyncMessage>),
    /// How far the history of a watch is told.
    WatchProgress(WatchProgress),
    /// An `error` that answers no request.
    Error(ErrorMessage),
    /// The connection ended. Another is being made, the first attempt after `retry_in`.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// Wait before the first attempt.
        retry_in: Duration,
    },
    /// There is a connection again.
    Reconnected {
        /// Whether everything since the last notification follows.
        resume: Resume,
        /// Of the relay: the same as before, or another.
        url: String,
        /// The relay's answer to the new handshake.
        relay: Box<HandshakeResponse>,
    },
    /// A watch holds again, but payments in blocks that came meanwhile are not told: the relay has no index.
    WatchGap {
        /// As in its `watch_response`.
        watch_id: String,
    },
    /// A watch could not be registered again after a reconnection. It is over.
    WatchLost {
        /// As in its `watch_response`.
        watch_id: String,
        /// The relay's words.
        error: ErrorMessage,
    },
    /// The connection ended for good. The last event.
    Closed {
        /// Why.
        reason: Disconnect,
    },
}

/// The events of a [`crate::Client`], in order. A [`Stream`], too.
///
/// It is bounded ([`crate::defaults::EVENT_QUEUE`]): when it is full, the socket is not read until the app takes an event.
/// Dropped, it takes no more: the client then goes on without events.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<ClientEvent>,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(queue: mpsc::Receiver<ClientEvent>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// The next event; `None` when the client has ended. Cancel-safe.
    pub async fn recv(&mut self) -> Option<ClientEvent> {
        let event = self.queue.recv().await;
        self.handed_over(event.as_ref());
        event
    }

    fn handed_over(&self, event: Option<&ClientEvent>) {
        let id = match event {
            Some(ClientEvent::Notification(notification)) => notification.event_id,
            Some(ClientEvent::Reconnected { relay, resume, .. }) => match (relay.resumed_after, resume) {
                // The log is another relay's.
                (Some(after), _) => Some(after),
                // Behind a gap it can be another, with smaller numbers.
                (None, Resume::Gap) => {
                    let last = self.shared.last_event_id.load(Ordering::Acquire);
                    Some(last.min(relay.last_event_id))
                }
                (None, Resume::Complete) => None,
            },
            _ => None,
        };
        if let Some(id) = id {
            self.shared.last_event_id.store(id, Ordering::Release);
        }
    }
}

impl Stream for Events {
    type Item = ClientEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let event = ready!(self.queue.poll_recv(cx));
        self.handed_over(event.as_ref());
        Poll::Ready(event)
    }
}
