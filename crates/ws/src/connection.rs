//! The task of one connection, which alone uses its socket.
//!
//! It waits for the first of several inputs (the client, an event, a payment to a watch, a report, a timer, the relay's
//! shutdown), handles it, and waits again. No other task waits for it: it reads events from the hub as fast as the
//! client accepts them, and its queues are bounded.

mod behind;
mod deliver;
mod errors;
mod pending;
mod relays;
mod watches;
mod welcome;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_detect::{Mailbox, MailboxReceiver};
use sdk_relay_events::{Cursor, Frame, Report};
use sdk_relay_mesh_net::{Asker, Inbound, LinkStep, Listener, connection_id};
use sdk_relay_protocol::{
    CloseCode, ErrorCode, Event, Pong, RelayConnected, RelayDisconnected, ServerMessage, Topic, message_id,
};
use sdk_relay_service::reading_tokens;
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_transport::{ClientAddress, Shutdown, network_of, shutdown_requested};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use self::behind::Behind;
use self::pending::Pending;
use super::session::{Action, Session, refusal};
use super::socket::{Received, Socket, WriteFailed};
use super::tweaks_history::{TweaksHistory, next_part};
use crate::handles::Handles;

/// Messages that a client may send per second, and in one burst. An app sends a handful per connection; answering this
/// many is cheap.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
const MESSAGES_AT_ONCE: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// Interval of new watches after the first `watches_per_connection`: each new watch scans the whole mempool.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);

/// Number of the next connection of this process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer has disconnected.
    Gone,
    /// The relay closes it.
    Close(CloseCode, String),
}

impl End {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Gone => "the connection was lost",
            Self::Close(_, reason) => reason,
        }
    }
}

type Step = Result<(), End>;

/// One connection.
pub(crate) struct Connection {
    handles: Arc<Handles>,
    number: u64,
    pub(crate) client: ClientAddress,
    session: Session,
    /// The peer, if it is a relay whose connection was reported.
    relay: Option<RelayConnected>,
    /// A relay whose proof is awaited, and since when.
    proving: Option<(Listener, Instant)>,
    /// The link of the mesh, if the peer is a relay that has proven its identity.
    link: Option<Inbound>,
    mac: Option<String>,
    cursor: Option<Cursor>,
    behind: Behind,
    head: watch::Receiver<u64>,
    reports: broadcast::Receiver<Report>,
    mailbox: Mailbox,
    mail: MailboxReceiver,
    /// The last event that may be sent to the client: its watches are scanned up to there.
    barrier: watch::Receiver<u64>,
    pending: Pending,
    last_received: Instant,
    messages: DefaultDirectRateLimiter,
    watches: Option<DefaultDirectRateLimiter>,
    /// The history of the topic `tweaks` that is being sent.
    tweaks_history: Option<TweaksHistory>,
    ending: Shutdown,
}

impl Connection {
    pub(crate) fn new<S: AsyncRead + AsyncWrite + Unpin>(
        handles: Arc<Handles>,
        stream: S,
        client: ClientAddress,
        authorized: bool,
        ending: Shutdown,
    ) -> (Self, Socket<S>) {
        let (mailbox, mail) = handles.detection.mailbox(network_of(client.ip()));
        let tokens = if authorized {
            Vec::new()
        } else {
            reading_tokens(&handles.settings.now().auth)
        };
        let most = handles.settings.now().max_watches_per_connection;
        let at_once = u32::try_from(most)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MIN);
        let connection = Self {
            number: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            client,
            session: Session::new(most, tokens),
            relay: None,
            proving: None,
            link: None,
            mac: None,
            cursor: None,
            behind: Behind::new(Arc::clone(&handles.traffic)),
            head: handles.hub.head(),
            reports: handles.hub.reports(),
            pending: Pending::new(Arc::clone(&handles), mailbox.clone()),
            mailbox,
            barrier: mail.barrier(),
            mail,
            last_received: Instant::now(),
            messages: RateLimiter::direct(Quota::per_second(MESSAGES_PER_SECOND).allow_burst(MESSAGES_AT_ONCE)),
            watches: Quota::with_period(WATCH_INTERVAL).map(|q| RateLimiter::direct(q.allow_burst(at_once))),
            tweaks_history: None,
            ending,
            handles,
        };
        let socket = Socket::new(
            stream,
            Arc::clone(&connection.handles.input),
            connection.handles.timeouts,
        );
        (connection, socket)
    }

    pub(crate) fn name(&self) -> String {
        connection_id(self.number)
    }

    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> End {
        let timeouts = self.handles.timeouts;
        let deadline = Instant::now() + timeouts.handshake;
        let mut ping = interval_at(Instant::now() + timeouts.ping, timeouts.ping);
        loop {
            let step = tokio::select! {
                code = shutdown_requested(&mut self.ending) => self.stopped(socket, code).await,
                received = socket.receive() => self.received(socket, received).await,
                () = sleep_until(deadline), if !self.session.is_open() => {
                    Err(self.no_handshake())
                }
                Ok(()) = self.head.changed(), if self.session.is_open() => self.advance(socket).await,
                () = std::future::ready(()), if self.behind.get() => self.advance(socket).await,
                () = barrier_changed(&mut self.barrier), if self.session.is_open() => self.advance(socket).await,
                frames = next_part(&mut self.tweaks_history, self.cursor.as_ref()), if self.tweaks_history.is_some() => {
                    self.send_history(socket, frames).await
                }
                step = link_step(&mut self.link) => self.link_step(socket, step).await,
                message = self.mail.next() => self.deliver(socket, message).await,
                done = self.pending.next() => self.done(socket, done).await,
                report = self.reports.recv(), if self.session.is_open() => self.pass_on(socket, report).await,
                _ = ping.tick() => self.ping(socket).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn no_handshake(&self) -> End {
        let reason = format!("no handshake within {} s", self.handles.timeouts.handshake.as_secs());
        End::Close(CloseCode::Protocol, reason)
    }

    async fn stopped<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, code: CloseCode) -> Step {
        if self.session.detached().next().is_some() {
            // A client that does not read must not delay the end of the relay.
            let within = self.handles.timeouts.close;
            drop(timeout(within, self.end_detached(socket)).await);
        }
        Err(End::Close(code, "the relay is shutting down or restarting".to_owned()))
    }

    async fn received<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        received: Received,
    ) -> Step {
        self.last_received = Instant::now();
        let text = match received {
            Received::Text(text) => text,
            // If it was a ping, the socket has queued a pong, which must be sent before more is read.
            Received::Activity => return socket.flush().await.map_err(End::from),
            Received::Binary(_) => {
                return Err(End::Close(
                    CloseCode::Unsupported,
                    "binary message: send JSON as text".to_owned(),
                ));
            }
            // Both deadlines expire at the same time, and this reason is more specific.
            Received::Unfinished(CloseCode::Policy, _) if !self.session.is_open() => {
                return Err(self.no_handshake());
            }
            Received::Unfinished(code, reason) => return Err(End::Close(code, reason)),
            Received::Gone => return Err(End::Gone),
        };
        self.count_received(&text);
        if let Some(link) = &self.link {
            self.handles.mesh.received(link.id(), link.relay_id());
        }
        let action = if self.session.is_open() && self.messages.check().is_err() {
            let message = format!(
                "more than {MESSAGES_PER_SECOND} messages a second: wait a second, then send the message again"
            );
            let answers = message_id(&text);
            self.session.refuse(refusal(ErrorCode::RateLimited, &message, answers))
        } else {
            self.session.read(&text)
        };
        // Sending the answer may take long: up to a megabyte of text is freed before.
        drop(text);
        self.act(socket, action).await
    }

    async fn act<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, action: Action) -> Step {
        match action {
            Action::Welcome { begin } => self.welcome(socket, begin).await,
            Action::WelcomeRelay {
                begin,
                relay_id,
                address,
                capabilities,
                version,
            } => {
                if let Err(reason) = self.handles.mesh.lets_unproven(&relay_id) {
                    return self.reject(socket, reason, CloseCode::Policy).await;
                }
                self.welcome(socket, begin).await?;
                let address = match address {
                    Some(claimed) => self.handles.mesh.claimed_address(claimed),
                    None => Some(self.client.to_string()),
                };
                self.relay_joined(RelayConnected {
                    relay_id,
                    address,
                    version,
                    capabilities,
                    timestamp: unix_now(),
                    connection_id: self.name(),
                });
                Ok(())
            }
            Action::Reject(reason, code) => self.reject(socket, reason, code).await,
            Action::Challenge(handshake) => match self.handles.mesh.challenge(&handshake, self.client.ip()) {
                Ok((listener, challenge)) => {
                    self.proving = Some((listener, Instant::now()));
                    self.send(socket, &ServerMessage::RelayChallenge(challenge)).await
                }
                Err(reason) => self.reject(socket, reason, CloseCode::Policy).await,
            },
            Action::Prove(proof) => self.prove(socket, &proof).await,
            Action::Answered(reply) => {
                if let Some(link) = self.link.as_mut() {
                    link.answered(reply);
                }
                Ok(())
            }
            Action::Pong => {
                let pong = Pong {
                    relay_id: self.handles.identity.relay_id.clone(),
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::Pong(pong)).await
            }
            Action::Subscribed { added, tweaks_from } => {
                if let Some(from) = tweaks_from {
                    let Some(index) = &self.handles.index else {
                        let message = "from_height: this relay has no tweak index (index.enabled = false)";
                        return self
                            .refuse(socket, refusal(ErrorCode::Unavailable, message, None))
                            .await;
                    };
                    let history = TweaksHistory::new(index.clone(), from, &self.handles.hub, self.cursor.as_ref());
                    self.tweaks_history = Some(history);
                }
                let response = ServerMessage::SubscribeResponse(self.topics("subscribed"));
                self.send(socket, &response).await?;
                self.first_reports(socket, added).await
            }
            Action::Unsubscribed => {
                if !self.session.topics().contains(Topic::Tweaks) {
                    // A later subscription has a history only if it requests one.
                    self.tweaks_history = None;
                }
                let response = ServerMessage::UnsubscribeResponse(self.topics("unsubscribed"));
                self.send(socket, &response).await
            }
            Action::Sync(mut request) => {
                let link = self.link.as_ref();
                if let Some(link) = link {
                    let payload = request.payload.as_ref();
                    self.handles
                        .mesh
                        .record_sync(link.id(), link.relay_id(), request.sync_type, payload);
                }
                let connection = Asker::Connection(self.number);
                let asker = link.map_or(&connection, Inbound::peer);
                let answer = self
                    .handles
                    .mesh
                    .answer(&*self.handles.host, &request, asker, link.map(Inbound::id));
                // It may be large, and sending the answer may take long.
                request.payload = None;
                let sent = self.send_frame(socket, &answer.frame).await;
                answer.ended(&self.handles.syncs, sent.as_ref().err().map(End::reason));
                sent
            }
            Action::Watch(watch) => self.watch(socket, watch).await,
            Action::Unwatch(unwatch) => self.unwatch(socket, unwatch).await,
            Action::Attach(attach) => self.attach(socket, attach).await,
            Action::Refuse(refusal) => self.send_error(socket, refusal).await,
            Action::RefuseAndClose(refusal, code) => {
                let reason = format!("too many errors in a row; the last: {}", refusal.message);
                self.send_error(socket, refusal).await?;
                Err(End::Close(code, reason))
            }
        }
    }

    async fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        message: &ServerMessage,
    ) -> Step {
        self.send_frame(socket, &Frame::encode(message)).await
    }

    async fn send_frame<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, frame: &Frame) -> Step {
        socket.feed(frame).await?;
        socket.flush().await?;
        self.count_sent(frame);
        Ok(())
    }

    /// Messages that contain the word `watch` are counted separately, valid or not. Escaping the word in JSON affects
    /// only this metric.
    fn count_received(&self, text: &str) {
        if memchr::memmem::find(text.as_bytes(), b"watch").is_some() {
            self.handles.traffic.watching.messages_received.inc();
        } else {
            self.handles.traffic.messages_received.inc();
        }
    }

    fn count_sent(&self, frame: &Frame) {
        if frame.is_private() {
            self.handles.traffic.watching.messages_sent.inc();
        } else {
            self.handles.traffic.messages_sent.inc();
        }
    }

    async fn ping<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        let silence = self.handles.timeouts.silence;
        if self.last_received.elapsed() >= silence {
            let reason = format!("nothing received for {} s", silence.as_secs());
            return Err(End::Close(CloseCode::GoingAway, reason));
        }
        Ok(socket.ping().await?)
    }

    /// Ends the client's watches: their keys are wiped, and scanning for them stops.
    pub(crate) fn leave(&self) {
        if self.session.has_watches() {
            self.handles.detection.leave(&self.mailbox);
        }
        self.handles.syncs.forget(&Asker::Connection(self.number));
    }

    /// Writes the remaining events of the connection to the log: ended watches, and the disconnection of a relay.
    pub(crate) async fn log_remaining(self) {
        self.pending.log_remaining().await;
        if let Some(RelayConnected {
            relay_id,
            address,
            connection_id,
            ..
        }) = self.relay
        {
            let gone = RelayDisconnected {
                relay_id,
                address,
                timestamp: unix_now(),
                connection_id,
            };
            self.handles.detection.log(Event::RelayDisconnected(gone)).await;
        }
    }
}

impl From<WriteFailed> for End {
    fn from(failed: WriteFailed) -> Self {
        match failed {
            WriteFailed::Gone => Self::Gone,
            WriteFailed::Slow => Self::Close(
                CloseCode::TryAgain,
                "this client reads too slowly: connect again and resume".to_owned(),
            ),
        }
    }
}

/// The next step of a link; pending forever without a link.
async fn link_step(link: &mut Option<Inbound>) -> LinkStep {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

/// Waits until the barrier moves, or the mailbox is closed.
async fn barrier_changed(barrier: &mut watch::Receiver<u64>) {
    if barrier.changed().await.is_err() {
        // Its sender is dropped together with the mailbox.
        std::future::pending::<()>().await;
    }
}

fn failed(error: &dyn std::error::Error) -> End {
    tracing::error!(%error, "cannot read the event log; closing the connection");
    End::Close(CloseCode::Server, "the relay cannot read its event log".to_owned())
}
