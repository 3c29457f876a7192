//! Reconnecting: opens the next connection, and restores topics and watches.

use std::sync::Arc;

use sdk_relay_protocol::{ClientMessage, ErrorCode, ErrorMessage, HandshakeResponse, Resume, Subscribe, Topic, Topics};
use tokio::time::sleep;

use super::{Driver, topics_of};
use crate::builder::now;
use crate::connection::Connection;
use crate::defaults::OWN_FIRST;
use crate::in_flight::Purpose;
use crate::reattach::Reattach;
use crate::routes::Route;
use crate::{ClientEvent, ConnectError, Disconnect, transport};

impl Driver {
    /// Opens a new connection; `None` if the client must not or cannot reconnect.
    pub(super) async fn reconnect(&mut self, reason: Disconnect) -> Option<Connection> {
        if let Some(event) = self.waiting.take() {
            self.deliver(event).await;
        }
        self.parts.clear();
        if !self.builder.reconnect || !reason.is_temporary() {
            self.deliver(ClientEvent::Closed { reason }).await;
            return None;
        }
        let mut retry_in = self.backoff.next();
        self.deliver(ClientEvent::Disconnected { reason, retry_in }).await;
        for attempt in 0u64.. {
            sleep(retry_in).await;
            let only_named = !self.watches.is_empty() && !self.builder.trust_mesh;
            let round = self.routes.round(only_named);
            let alone = round.len() == 1;
            let most = if attempt < OWN_FIRST { 1 } else { round.len() };
            for route in round.into_iter().take(most) {
                match self.open(&route).await {
                    Ok((connection, relay)) => {
                        self.resumed(&route.url, relay).await;
                        return Some(connection);
                    }
                    Err(e) if alone && !e.is_temporary() => {
                        let reason = Disconnect::Refused(e.to_string());
                        self.deliver(ClientEvent::Closed { reason }).await;
                        return None;
                    }
                    Err(e) => tracing::debug!(url = route.url, error = %e, "cannot reconnect yet"),
                }
            }
            retry_in = self.backoff.next();
        }
        None
    }

    /// Connects to this relay, and requests the events since the last connection.
    async fn open(&self, route: &Route) -> Result<(Connection, HandshakeResponse), ConnectError> {
        let mut handshake = self.builder.handshake(self.capabilities());
        if route.url == self.routes.current() {
            handshake.resume_from = Some(self.last_queued);
        } else {
            handshake.resume_after = self.reported.hashes();
        }
        if !route.named {
            handshake.token = None;
        }
        let (connection, relay) = Connection::open(&route.url, &self.builder.connector, handshake).await?;
        let network = self.shared.relay.borrow().network.clone();
        if relay.network != network {
            return Err(ConnectError::OtherNetwork {
                address: transport::address(&route.url).unwrap_or_else(|_| route.url.to_string()),
                found: relay.network,
                expected: network,
            });
        }
        Ok((connection, relay))
    }

    async fn resumed(&mut self, url: &str, relay: HandshakeResponse) {
        let resume;
        if url == self.routes.current() {
            let other_log = relay.last_event_id < self.last_queued;
            resume = match relay.resume {
                Some(Resume::Complete) if !other_log => Resume::Complete,
                _ => Resume::Gap,
            };
            self.last_queued = self.last_queued.min(relay.last_event_id);
        } else {
            resume = relay.resume.unwrap_or(Resume::Gap);
            self.last_queued = relay.resumed_after.unwrap_or(relay.last_event_id);
        }
        if resume == Resume::Gap {
            self.reported.clear();
        }
        self.resume = resume;
        self.routes.set_current(url);
        if self.builder.follow_mesh && !relay.relays.is_empty() {
            self.routes.set_listed(&relay.relays);
        }
        self.shared.relay.send_replace(Arc::new(relay.clone()));
        let (relay, url) = (Box::new(relay), url.to_owned());
        self.deliver(ClientEvent::Reconnected { resume, url, relay }).await;
    }

    /// Restores the state of the old connection: registers watches, and unsubscribes from topics that the handshake
    /// had to request.
    pub(super) async fn restore(&mut self, connection: &mut Connection) -> Result<(), Disconnect> {
        let url = self.routes.current().to_owned();
        for reattach in self.watches.attachments(self.reported.tip(), self.resume, &url) {
            match reattach {
                Reattach::Attach { watch_id, mut attach } => {
                    attach.message_id = Some(self.message_ids.next());
                    self.send(
                        connection,
                        ClientMessage::Attach(attach),
                        Purpose::AttachWatch(watch_id),
                    )
                    .await?;
                }
                Reattach::Lost { watch_id } => {
                    let error = ErrorMessage {
                        code: ErrorCode::NotFound,
                        message: "the watch is at another relay".to_owned(),
                        in_reply_to: None,
                        timestamp: now().unwrap_or_default(),
                    };
                    self.deliver(ClientEvent::WatchLost { watch_id, error }).await;
                }
            }
        }
        for (id, watch) in self.watches.registrations(self.reported.tip(), self.resume) {
            self.register_watch(connection, id, watch).await?;
        }
        let named: Topics = topics_of(&self.capabilities()).collect();
        let unwanted: Vec<Topic> = named.iter().filter(|t| !self.topics.contains(*t)).collect();
        if !unwanted.is_empty() {
            let message = ClientMessage::Unsubscribe(Subscribe {
                subscriptions: unwanted,
                from_height: None,
                client_id: None,
                timestamp: now(),
            });
            self.send(connection, message, Purpose::Internal).await?;
        }
        Ok(())
    }

    /// The current topics, and the other capabilities that the app requested. `sync` also allows sync requests, so it
    /// is kept without its topic.
    fn capabilities(&self) -> Vec<String> {
        let keep = |name: &&String| match Topic::from_name(name) {
            Some(topic) => topic == Topic::Sync || self.topics.contains(topic),
            None => true,
        };
        let mut names: Vec<String> = self.builder.capabilities.iter().filter(keep).cloned().collect();
        for topic in self.topics.iter() {
            if !names.iter().any(|n| n == topic.name()) {
                names.push(topic.name().to_owned());
            }
        }
        names
    }
}
