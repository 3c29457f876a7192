//! The handle of the app: requests and their responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sdk_relay_protocol::{
    Attach, AttachResponse, ClientMessage, HandshakeResponse, Ping, Pong, SecretHex, ServerMessage, Subscribe, Sync,
    SyncResponse, SyncType, Topic, Unwatch, UnwatchResponse, Watch, WatchResponse,
};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::backoff::random;
use crate::builder::now;
use crate::defaults::REQUEST_TIMEOUT;
use crate::in_flight::{Purpose, Request, name};
use crate::{ClientBuilder, RequestError};

/// A connection to a relay. Clones share it; it is closed (1000) when the last clone is dropped.
///
/// Requests wait up to [`REQUEST_TIMEOUT`] for their responses, also while the client reconnects. Several tasks can
/// send requests concurrently.
#[derive(Clone, Debug)]
#[must_use = "the connection is closed when its last handle is dropped"]
pub struct Client {
    handle: Arc<Handle>,
}

/// Ends the task when it is dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) message_ids: MessageIds,
    pub(crate) client_id: String,
    pub(crate) relay_id: Option<String>,
}

/// State shared by the task and the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    /// `event_id` of the last notification that the app received.
    pub(crate) last_event_id: AtomicU64,
    /// Handshake response of the last connection.
    pub(crate) relay: watch::Sender<Arc<HandshakeResponse>>,
}

/// Message ids that are unique across processes.
#[derive(Clone, Debug)]
pub(crate) struct MessageIds {
    process: u64,
    next: Arc<AtomicU64>,
}

impl Client {
    /// A client of the relay at `ws://HOST:PORT`, or `wss://HOST:PORT` if it uses TLS.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle: Arc::new(handle),
        }
    }

    /// The handshake response of the last connection: network, wallet address, `resume`.
    pub fn relay(&self) -> Arc<HandshakeResponse> {
        Arc::clone(&self.handle.shared.relay.borrow())
    }

    /// Last `event_id` that [`crate::Events`] returned; before the first, the position in the log at which this
    /// client began. Use it for [`ClientBuilder::resume_from`] once the app has processed the event.
    pub fn last_event_id(&self) -> u64 {
        self.handle.shared.last_event_id.load(Ordering::Acquire)
    }

    /// Sends a `ping` and waits for the `pong`.
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

    /// Subscribes to topics; returns all current topics. They survive reconnects.
    pub async fn subscribe(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Vec<Topic>, RequestError> {
        self.request(ClientMessage::Subscribe(self.topics(topics)), |answer| match answer {
            ServerMessage::SubscribeResponse(response) => Some(response.subscriptions),
            _ => None,
        })
        .await
    }

    /// Unsubscribes from topics; returns all current topics. They survive reconnects.
    pub async fn unsubscribe(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Vec<Topic>, RequestError> {
        self.request(ClientMessage::Unsubscribe(self.topics(topics)), |answer| match answer {
            ServerMessage::UnsubscribeResponse(response) => Some(response.subscriptions),
            _ => None,
        })
        .await
    }

    /// Requests the state, health or metrics of the relay. Requires the capability `sync`.
    pub async fn sync(&self, sync_type: SyncType) -> Result<SyncResponse, RequestError> {
        self.exchange(sync_type, None).await
    }

    /// Like [`Self::sync`], and sends the caller's own state, health or metrics. For relays.
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

    /// Watches a wallet: the relay scans for payments to these keys. After a reconnect the client registers the watch
    /// again; its `watch_id` stays the same for the app. The client holds the scan key in memory until
    /// [`Self::unwatch`] or until it ends.
    pub async fn watch(&self, mut watch: Watch) -> Result<WatchResponse, RequestError> {
        watch.message_id = Some(self.handle.message_ids.next());
        self.request(ClientMessage::Watch(watch), |answer| match answer {
            ServerMessage::WatchResponse(response) => Some(response),
            _ => None,
        })
        .await
    }

    /// Attaches to a detached watch that another connection, or an earlier process, has registered: its matches after
    /// `after` follow, and then new ones. The other connection loses the watch. After a reconnect the client attaches
    /// again. As it does not know the keys, it cannot register the watch again if that has ended: then it reports
    /// [`crate::ClientEvent::WatchLost`], and the app watches again with `from_height`.
    pub async fn attach(
        &self,
        watch_id: &str,
        watch_token: SecretHex,
        after: u64,
    ) -> Result<AttachResponse, RequestError> {
        let attach = ClientMessage::Attach(Attach {
            watch_id: watch_id.to_owned(),
            watch_token,
            after,
            message_id: Some(self.handle.message_ids.next()),
        });
        self.request(attach, |answer| match answer {
            ServerMessage::AttachResponse(response) => Some(response),
            _ => None,
        })
        .await
    }

    /// Releases the matches of a detached watch up to this `watch_seq`, once the app has stored them: the relay forgets
    /// them. The relay keeps matches until then, and sends those that were not released again when a client attaches.
    /// Within this client no match is reported twice. Returns [`RequestError::Disconnected`] while the client
    /// reconnects; the matches are then released when it attaches again.
    pub async fn release(&self, watch_id: &str, after: u64) -> Result<AttachResponse, RequestError> {
        // The task knows the token.
        self.attach(watch_id, SecretHex::new(String::new()), after).await
    }

    /// Ends a watch. Returns [`RequestError::Disconnected`] while the watch is being registered again; it then
    /// continues.
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

    /// Closes the connection (1000) for all clones, and waits until it is closed.
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
            let sent = self.handle.requests.send(Request { message, purpose }).await;
            sent.map_err(|_| RequestError::Closed)?;
            answer.await.unwrap_or(Err(RequestError::Closed))
        };
        match timeout(REQUEST_TIMEOUT, ask).await {
            // The task delivers only answers of the kind of the request.
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
