//! Outbound links: dials, and the task that serves such a link.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_client::{ConnectError, Link};
use sdk_relay_config::{PeerAddress, url_of};
use sdk_relay_echo::short;
use sdk_relay_mesh::DialId;
use sdk_relay_protocol::mesh::RelayId;
use sdk_relay_protocol::{API_VERSION, Handshake, Role, ServerMessage, Sync, SyncReply};
use sdk_relay_telemetry::clock::unix_now;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::Mesh;
use super::bindings::Origin;
use super::inbound::Up;
use super::known::KnownRelay;
use super::link::{Exchange, LinkStep};
use super::proof::{Dialler, Expected, Proven};
use super::resolve::AddressError;
use super::route::{is_of_proxy, routes};
use crate::host::Host;
use crate::sync::is_relay_id;

/// A link over which nothing arrives for this long is closed: the peer pings every 30 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Messages that the peer may send per second, and in a burst: the same limits that it applies.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
const MESSAGES_AT_ONCE: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// Longest `message_id` that is answered, in bytes.
const MAX_MESSAGE_ID: usize = 128;

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The error of the proxy says what is not reached.
    #[error("{}", connect_error(.0))]
    Connect(#[from] ConnectError),
    #[error("its name is rejected: {0}")]
    Name(#[from] super::bindings::NameRefused),
    #[error("it has not proven its identity")]
    Unproven,
    #[error("it is on network {}", short(.0))]
    Network(String),
}

fn connect_error(error: &ConnectError) -> String {
    match error {
        ConnectError::Unreachable { source, .. } if is_of_proxy(source) => source.to_string(),
        error => error.to_string(),
    }
}

/// A dial that the state machine requested.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) id: DialId,
    pub(super) address: String,
    pub(super) expect: Option<(RelayId, String)>,
}

/// A dialled link that is not registered yet.
struct Dialled {
    link: Link,
    peer: Proven,
    origin: Origin,
    latency: Duration,
    version: String,
}

impl Mesh {
    /// Dials, and serves the link until it ends.
    pub(super) async fn dial(self: Arc<Self>, host: Arc<dyn Host>, dial: Dial) -> Option<(String, DialError)> {
        let configured = dial.expect.is_none();
        match self.connect(&dial).await {
            Ok(Dialled {
                link,
                peer,
                origin,
                latency,
                version,
            }) => {
                let (up, exchange) = self.up(&peer, Some(dial.id), origin, latency, KnownRelay { version });
                tracing::info!(relay = up.relay_id, address = dial.address, "connected to a relay");
                serve(&*host, link, &up, exchange).await;
                None
            }
            Err(error) => {
                match &error {
                    DialError::Address(why) if !configured && why.is_permanent() => {
                        self.with(|core, now| core.dial_forbidden(now, dial.id));
                    }
                    _ => self.with(|core, now| core.dial_failed(now, dial.id)),
                }
                tracing::debug!(address = dial.address, %error, "cannot connect to a relay");
                configured.then_some((dial.address, error))
            }
        }
    }

    async fn connect(&self, dial: &Dial) -> Result<Dialled, DialError> {
        let (url, expect, configured) = match &dial.expect {
            // Addresses from the configuration are not restricted.
            None => {
                let peer = PeerAddress::parse(&dial.address).ok_or(AddressError::Malformed)?;
                let expect = Expected {
                    relay_id: None,
                    public_key: peer.key,
                };
                (peer.url, expect, true)
            }
            Some((relay_id, key)) => {
                let url = url_of(&dial.address).ok_or(AddressError::Malformed)?;
                let expect = Expected {
                    relay_id: Some(relay_id.as_str().to_owned()),
                    public_key: Some(key.clone()),
                };
                (url, expect, false)
            }
        };
        let reach = (!configured).then_some(&self.reach);
        let routes = routes(&url, self.proxy.as_ref(), reach).await?;
        let mut last = AddressError::Unknown(url.clone()).into();
        for route in routes {
            let own = self.address.clone().unwrap_or_default();
            let mut dialler = Dialler::new(self.own.clone(), own, expect.clone());
            let handshake = self.hello(&dialler);
            let began = Instant::now();
            match Link::dial(
                &url,
                Arc::new(route.clone()),
                self.trust.as_deref(),
                handshake,
                &mut dialler,
            )
            .await
            {
                Ok((_, response)) if response.network != self.own.network => {
                    return Err(DialError::Network(response.network));
                }
                Ok((link, response)) => {
                    // Four round trips: TCP, the upgrade, the challenge, the proof.
                    let latency = began.elapsed() / 4;
                    let peer = dialler.proven().ok_or(DialError::Unproven)?;
                    self.admit(&peer)?;
                    if configured {
                        route.ip().into_iter().for_each(|ip| self.reach.open(ip));
                    }
                    return Ok(Dialled {
                        link,
                        peer,
                        origin: if configured { Origin::Configured } else { route.origin() },
                        latency,
                        version: response.version.chars().take(32).collect(),
                    });
                }
                Err(error @ (ConnectError::Unreachable { .. } | ConnectError::Timeout { .. })) => last = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last)
    }

    fn hello(&self, dialler: &Dialler) -> Handshake {
        Handshake {
            client_id: self.own.relay_id.clone(),
            version: API_VERSION.to_owned(),
            capabilities: vec!["sync".to_owned()],
            timestamp: Some(unix_now()),
            role: Some(Role::Relay),
            relay_id: Some(self.own.relay_id.clone()),
            address: self.address.clone(),
            identity: Some(dialler.identity()),
            ..Handshake::default()
        }
    }
}

/// Serves a link until either end closes it.
async fn serve(host: &dyn Host, mut link: Link, up: &Up, mut exchange: Exchange) {
    let limit: DefaultDirectRateLimiter =
        RateLimiter::direct(Quota::per_second(MESSAGES_PER_SECOND).allow_burst(MESSAGES_AT_ONCE));
    let mut last_received = Instant::now();
    loop {
        tokio::select! {
            message = link.read() => {
                last_received = Instant::now();
                if limit.check().is_err() {
                    tracing::debug!(relay = up.relay_id, "closing a link: the other relay sends too many messages");
                    return link.close().await;
                }
                let done = match message {
                    Ok(Some(message)) => handle_message(host, &mut link, up, &mut exchange, message).await,
                    Ok(None) => {
                        up.mesh.received(up.id, &up.relay_id);
                        Ok(())
                    }
                    Err(ended) => Err(ended),
                };
                if let Err(ended) = done {
                    tracing::debug!(relay = up.relay_id, %ended, "link ended");
                    return;
                }
            }
            step = exchange.next() => match step {
                LinkStep::Send(frame) => {
                    up.mesh.metrics.traffic.messages_sent.inc();
                    if link.send_text(&frame.text()).await.is_err() {
                        return;
                    }
                }
                LinkStep::Close(why) => {
                    tracing::debug!(relay = up.relay_id, why, "closing a link");
                    return link.close().await;
                }
            },
            () = sleep_until(last_received + IDLE_TIMEOUT) => return,
        }
    }
}

async fn handle_message(
    host: &dyn Host,
    link: &mut Link,
    up: &Up,
    exchange: &mut Exchange,
    message: ServerMessage,
) -> Result<(), sdk_relay_client::Disconnect> {
    up.mesh.metrics.traffic.messages_received.inc();
    match message {
        ServerMessage::Sync(sync) => {
            let request = Sync {
                sync_type: sync.sync_type,
                relay_id: Some(sync.relay_id).filter(|id| is_relay_id(id)),
                payload: map(&sync.payload),
                timestamp: Some(sync.timestamp),
                message_id: sync.message_id,
            };
            up.mesh.received(up.id, &up.relay_id);
            if request.message_id.len() > MAX_MESSAGE_ID {
                return Ok(());
            }
            up.mesh
                .record_sync(up.id, &up.relay_id, request.sync_type, request.payload.as_ref());
            let answer = up.mesh.answer(host, &request, &up.peer, Some(up.id));
            let sent = link.send_text(&answer.frame.text()).await;
            up.mesh.metrics.traffic.messages_sent.inc();
            answer.ended(&up.mesh.syncs, sent.as_ref().err().map(|_| "the connection was lost"));
            return sent;
        }
        ServerMessage::SyncResponse(response) => {
            let reply = SyncReply {
                sync_type: response.sync_type,
                relay_id: response.relay_id,
                payload: map(&response.payload).unwrap_or_default(),
                timestamp: Some(response.timestamp),
                message_id: response.message_id,
                in_reply_to: response.in_reply_to,
            };
            exchange.answered(reply);
        }
        _ => {}
    }
    up.mesh.received(up.id, &up.relay_id);
    Ok(())
}

fn map(payload: &sdk_relay_protocol::SyncPayload) -> Option<Map<String, Value>> {
    match serde_json::to_value(payload) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
