//! The app's handle: requests and their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sdk_relay_protocol::{
    ClientMessage, HandshakeResponse, Ping, Pong, ServerMessage, Subscribe, Sync, SyncResponse, SyncType, Topic,
    Unwatch, UnwatchResponse, Watch, WatchResponse,
};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::backoff::random;
use crate::builder::now;
use crate::defaults::REQUEST_TIMEOUT;
use crate::in_flight::{Purpose, Request, name};
use crate::{ClientBuilder, RequestError};

/// A connection to a relay. Clones share it; it is closed (1000) when the last of them is dropped.
///
/// Requests wait for their answers up to [`REQUEST_TIMEOUT`], also while the connection is being made again. They can be
/// made from several tasks at once.
#[derive(Clone, Debug)]
#[must_use = "the connection is closed when its last handle is dropped"]
pub struct Client {
    handle: Arc<Handle>,
}

/// What ends the task when it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) message_ids: MessageIds,
    pub(crate) client_id: String,
    pub(crate) relay_id: Option<String>,
}

/// What the task and the handles both know.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Of the last notification that the app took.
    pub(crate) last_event_id: AtomicU64,
    /// Of the last connection.
    pub(crate) relay: watch::Sender<Arc<HandshakeResponse>>,
}

/// Names for messages that no other process, and none before this one, has used.
#[derive(Clone, Debug)]
pub(crate) struct MessageIds {
    process: u64,
    next: Arc<AtomicU64>,
}

impl Client {
    /// A client of the relay at `ws://HOST:PORT`, or `wss://HOST:PORT` where it speaks TLS.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle: Arc::new(handle),
        }
    }

    /// The relay's answer to the handshake of the last connection: network, wallet address, `resume`.
    pub fn relay(&self) -> Arc<HandshakeResponse> {
        Arc::clone(&self.handle.shared.relay.borrow())
    }

    /// The last `event_id` that [`crate::Events`] handed over; before the first, the place in the log where this client
    /// began. For [`ClientBuilder::resume_from`], once the event has been dealt with.
    pub fn last_event_id(&self) -> u64 {
        self.handle.shared.last_event_id.load(Ordering::Acquire)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<Pong, RequestError> {
        let ping = ClientMessage::Ping(Ping {
            client_id: Some(self.handle.client_id.clone()),
            timestamp: now(),
        });
        self.request(ping, |answer| match answer {
            ServerMessage::Pong(pong) => Some(pong),
            _ => None,
        })
        .await
    }

    /// Adds topics; returns the whole set that now holds. Reconnections keep it.
    pub async fn subscribe(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Vec<Topic>, RequestError> {
        self.request(ClientMessage::Subscribe(self.topics(topics)), |answer| match answer {
            ServerMessage::SubscribeResponse(response) => Some(response.subscriptions),
            _ => None,
        })
        .await
    }

    /// Takes topics out; returns the whole set that now holds. Reconnections keep it.
    pub async fn unsubscribe(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Vec<Topic>, RequestError> {
        self.request(ClientMessage::Unsubscribe(self.topics(topics)), |answer| match answer {
            ServerMessage::UnsubscribeResponse(response) => Some(response.subscriptions),
            _ => None,
        })
        .await
    }

    /// Asks for the relay's state, health or metrics. Needs the capability `sync`.
    pub async fn sync(&self, sync_type: SyncType) -> Result<SyncResponse, RequestError> {
        self.exchange(sync_type, None).await
    }

    /// As [`Self::sync`], and tells the relay one's own state, health or metrics: what relays do.
    pub async fn exchange(
        &self,
        sync_type: SyncType,
        payload: Option<Map<String, Value>>,
    ) -> Result<SyncResponse, RequestError> {
        let sync = ClientMessage::Sync(Sync {
            sync_type,
            relay_id: self.handle.relay_id.clone(),
            payload,
            timestamp: now(),
            message_id: self.handle.message_ids.next(),
        });
        self.request(sync, |answer| match answer {
            ServerMessage::SyncResponse(response) => Some(response),
            _ => None,
        })
        .await
    }

    /// Has the relay scan for these keys. Reconnections register the watch again; its `watch_id` stays the same for the
    /// app. The client holds the scan key in memory until [`Self::unwatch`] or its end.
    pub async fn watch(&self, mut watch: Watch) -> Result<WatchResponse, RequestError> {
        watch.message_id = Some(self.handle.message_ids.next());
        self.request(ClientMessage::Watch(watch), |answer| match answer {
            ServerMessage::WatchResponse(response) => Some(response),
            _ => None,
        })
        .await
    }

    /// Ends a watch. [`RequestError::Disconnected`] while it is being registered again: it still holds then.
    pub async fn unwatch(&self, watch_id: &str) -> Result<UnwatchResponse, RequestError> {
        let unwatch = ClientMessage::Unwatch(Unwatch {
            watch_id: watch_id.to_owned(),
            message_id: Some(self.handle.message_ids.next()),
        });
        self.request(unwatch, |answer| match answer {
            ServerMessage::UnwatchResponse(response) => Some(response),
            _ => None,
        })
        .await
    }

    /// Closes the connection (1000) for all clones, and returns when it is closed.
    pub async fn close(self) {
        self.handle.stop.send_replace(true);
        self.handle.requests.closed().await;
    }

    async fn request<T>(
        &self,
        message: ClientMessage,
        read: impl FnOnce(ServerMessage) -> Option<T>,
    ) -> Result<T, RequestError> {
        let request = name(&message);
        let (reply, answer) = oneshot::channel();
        let ask = async {
            let purpose = Purpose::App(reply);
            let asked = self.handle.requests.send(Request { message, purpose }).await;
            asked.map_err(|_| RequestError::Closed)?;
            answer.await.unwrap_or(Err(RequestError::Closed))
        };
        match timeout(REQUEST_TIMEOUT, ask).await {
            // The task hands over nothing but the answer of the request's own kind.
            Ok(answer) => read(answer?).ok_or(RequestError::Closed),
            Err(_) => Err(RequestError::Timeout {
                request,
                after: REQUEST_TIMEOUT,
            }),
        }
    }

    fn topics(&self, topics: impl IntoIterator<Item = Topic>) -> Subscribe {
        Subscribe {
            subscriptions: topics.into_iter().collect(),
            from_height: None,
            client_id: Some(self.handle.client_id.clone()),
            timestamp: now(),
        }
    }
}

impl MessageIds {
    pub(crate) fn new() -> Self {
        Self {
            process: random(),
            next: Arc::default(),
        }
    }

    pub(crate) fn next(&self) -> String {
        format!("{:016x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
