//! After a connection has ended: the next one, and what makes it like the last.

use std::sync::Arc;

use sdk_relay_protocol::{ClientMessage, HandshakeResponse, Resume, Subscribe, Topic, Topics};
use tokio::time::sleep;

use super::{Driver, topics_of};
use crate::builder::now;
use crate::connection::Connection;
use crate::in_flight::Purpose;
use crate::{ClientEvent, Disconnect};

impl Driver {
    /// A new connection; `None` when there shall or can be none.
    pub(super) async fn connect_again(&mut self, reason: Disconnect) -> Option<Connection> {
        if let Some(event) = self.waiting.take() {
            self.hand_over(event).await;
        }
        if !self.builder.reconnect || !reason.is_temporary() {
            self.hand_over(ClientEvent::Closed { reason }).await;
            return None;
        }
        let mut retry_in = self.backoff.next();
        self.hand_over(ClientEvent::Disconnected { reason, retry_in }).await;
        loop {
            sleep(retry_in).await;
            let handshake = self.builder.handshake(self.capabilities(), Some(self.last_queued));
            match Connection::open(&self.builder.url, &self.builder.trust, handshake).await {
                Ok((connection, relay)) => {
                    self.resumed(relay).await;
                    return Some(connection);
                }
                Err(e) if e.is_temporary() => tracing::debug!(error = %e, "cannot reconnect yet"),
                Err(e) => {
                    let reason = Disconnect::Refused(e.to_string());
                    self.hand_over(ClientEvent::Closed { reason }).await;
                    return None;
                }
            }
            retry_in = self.backoff.next();
        }
    }

    async fn resumed(&mut self, relay: HandshakeResponse) {
        let other_log = relay.last_event_id < self.last_queued;
        let resume = match relay.resume {
            Some(Resume::Complete) if !other_log => Resume::Complete,
            _ => Resume::Gap,
        };
        self.last_queued = self.last_queued.min(relay.last_event_id);
        self.shared.relay.send_replace(Arc::new(relay.clone()));
        let relay = Box::new(relay);
        self.hand_over(ClientEvent::Reconnected { resume, relay }).await;
    }

    /// Brings a new connection to where the old one was: watches, and topics that the handshake had to name.
    pub(super) async fn restore(&mut self, connection: &mut Connection) -> Result<(), Disconnect> {
        for (id, mut watch) in self.watches.again() {
            watch.message_id = Some(self.message_ids.next());
            self.send(connection, ClientMessage::Watch(watch), Purpose::WatchAgain(id))
                .await?;
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
            self.send(connection, message, Purpose::Nobody).await?;
        }
        Ok(())
    }

    /// The topics that hold now, and what else the app named at first. `sync` is also the right to ask, which
    /// outlives its topic.
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
