//! Events for the app.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use sdk_relay_protocol::{
    ErrorMessage, HandshakeResponse, Notification, Resume, SyncMessage, WatchEnded, WatchGap, WatchProgress,
    WatchResponse,
};
use tokio::sync::mpsc;

use crate::Disconnect;
use crate::client::Shared;

/// A message or a change of the connection's state.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// A notification: a payment, a block, tweaks or a relay.
    Notification(Box<Notification>),
    /// State, health or metrics of the relay, on a topic.
    Sync(Box<SyncMessage>),
    /// Progress of the scan of a watch's history.
    WatchProgress(WatchProgress),
    /// An `error` that does not answer a request.
    Error(ErrorMessage),
    /// The connection ended. The client reconnects, with the first attempt after `retry_in`.
    Disconnected {
        /// Why the connection ended.
        reason: Disconnect,
        /// Wait before the first attempt.
        retry_in: Duration,
    },
    /// The client has reconnected.
    Reconnected {
        /// Whether everything since the last notification follows.
        resume: Resume,
        /// URL of the relay: the same as before, or another.
        url: String,
        /// Response to the new handshake.
        relay: Box<HandshakeResponse>,
    },
    /// A watch was registered again, but payments in the blocks since the disconnect are not reported, because the
    /// relay has no index.
    WatchGap {
        /// As in its `watch_response`.
        watch_id: String,
    },
    /// A watch could not be registered again after a reconnect, and has ended.
    WatchLost {
        /// As in its `watch_response`.
        watch_id: String,
        /// Error of the relay.
        error: ErrorMessage,
    },
    /// A detached watch had ended while the client was away, for example because the relay had restarted. It was
    /// registered again with the history since, as another watch of the relay: its `watch_seq` begins with 1 again, and
    /// it has a new token. [`Notification`]s and requests still use the first `watch_id`.
    WatchRenewed {
        /// As in its first `watch_response`.
        watch_id: String,
        /// The new id at the relay and the new token, for [`crate::Client::attach`] in another process.
        response: Box<WatchResponse>,
    },
    /// Matches of a detached watch were found while its buffer was full. They are lost; a watch of the same keys from
    /// `from_height` on finds them again.
    MatchesLost(WatchGap),
    /// A detached watch has ended, or another connection has attached to it.
    WatchEnded(WatchEnded),
    /// The client has ended, and does not reconnect. This is the last event.
    Closed {
        /// Why the connection ended.
        reason: Disconnect,
    },
}

/// The events of a [`crate::Client`], in order. Also a [`Stream`].
///
/// The queue is bounded ([`crate::defaults::EVENT_QUEUE`]): while it is full, the socket is not read. After it is
/// dropped, the client continues without events.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<ClientEvent>,
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(queue: mpsc::Receiver<ClientEvent>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// Returns the next event; `None` when the client has ended. Cancel-safe.
    pub async fn recv(&mut self) -> Option<ClientEvent> {
        let event = self.queue.recv().await;
        self.handed_over(event.as_ref());
        event
    }

    fn handed_over(&self, event: Option<&ClientEvent>) {
        let id = match event {
            Some(ClientEvent::Notification(notification)) => notification.event_id,
            Some(ClientEvent::Reconnected { relay, resume, .. }) => match (relay.resumed_after, resume) {
                // The log is that of another relay.
                (Some(after), _) => Some(after),
                // After a gap it can be another log, with smaller numbers.
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
