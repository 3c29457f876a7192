//! The actor of one connection: the only one that touches its socket.
//!
//! It waits for whatever comes first (the client, an event, a payment to a watch, a report, the clock, the relay's end), does one thing,
//! and waits again. Nothing waits for it: events are read from the hub at the client's pace, and what others leave for it is bounded.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_protocol::{
    API_VERSION, CloseCode, ErrorCode, ErrorMessage, Event, HandshakeResponse, HandshakeStatus, Pong, Refusal,
    RelayConnected, RelayDisconnected, RelayProof, ServerMessage, SubscribeResponse, Topic, Unwatch, UnwatchResponse,
    Watch, WatchResponse, message_id,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, interval_at, sleep_until};

use super::begin::Begin;
use super::limits::Permit;
use super::past_tweaks::{PastTweaks, next_past};
use super::session::{Action, CAPABILITIES, Session, refusal};
use super::socket::{Heard, Socket, WriteFailed};
use super::watch::keys;
use crate::SOFTWARE_VERSION;
use crate::clock::unix_now;
use crate::context::Context;
use crate::detect::{Mailbox, MailboxReceiver, WatchOrder, mailbox};
use crate::ending::{Ending, ended};
use crate::hub::{Cursor, Frame, Next, Report};
use crate::mesh::{Inbound, KnownRelay, Listener, Step as LinkStep};
use crate::sync;

/// Within this the handshake must have come (CONTRACT, "Handshake").
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The relay pings this often (CONTRACT, "Close codes").
const PING_EVERY: Duration = Duration::from_secs(30);
/// A peer that has said nothing for this long is gone (the same).
const SILENT_AT_MOST: Duration = Duration::from_secs(90);
/// Messages that a client may send per second, and at once. An app sends a handful in its life; answering this many costs nothing.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
const MESSAGES_AT_ONCE: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// New watches after the first `watches_per_connection`: each is held against the whole mempool.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// Numbers connections for as long as the process runs.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The peer is gone already.
    Gone,
    /// We close it.
    Close(CloseCode, String),
}

impl End {
    fn reason(&self) -> &str {
        match self {
            Self::Gone => "the connection broke",
            Self::Close(_, reason) => reason,
        }
    }
}

type Step = Result<(), End>;

/// A client that has come in.
#[derive(Debug)]
pub struct Arrival {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Its place among the connections; `None` where there is none left.
    pub permit: Option<Permit>,
    /// Whether its request carried a token that allows reading, or none is needed.
    pub authorized: bool,
}

/// Serves a client on an upgraded stream until either side ends it. `ending` tells when the relay does, and with which code. One without a
/// place is closed with 1013, so that it learns why.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(cx: Arc<Context>, stream: S, arrival: Arrival, ending: Ending) {
    let Arrival {
        peer,
        permit,
        authorized,
    } = arrival;
    let Some(permit) = permit else {
        cx.counters.connections_refused.inc();
        return refuse(stream).await;
    };
    let gauge = Gauged::new(&cx);
    let (mut connection, mut socket) = Connection::new(Arc::clone(&cx), stream, peer, authorized, ending);
    let end = connection.run(&mut socket).await;
    connection.leave().await;
    if let End::Close(code, reason) = end {
        if code == CloseCode::TryAgain {
            cx.counters.slow_clients_cut.inc();
        }
        tracing::debug!(connection = %connection.name(), code = code.code(), reason, "closing a connection");
        socket.close(code, &reason).await;
    }
    drop((gauge, permit));
}

/// Tells a client that there is no place for it, and closes.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    Socket::new(stream)
        .close(
            CloseCode::TryAgain,
            "too many connections: try again later, or another relay",
        )
        .await;
}

/// Counts the connection for as long as it lives.
struct Gauged(Arc<Context>);

impl Gauged {
    fn new(cx: &Arc<Context>) -> Self {
        cx.counters.connections.inc();
        Self(Arc::clone(cx))
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.counters.connections.dec();
    }
}

struct Connection {
    cx: Arc<Context>,
    number: u64,
    peer: SocketAddr,
    session: Session,
    is_relay: bool,
    /// The relay at the other end, where it is one and its coming was told.
    relay: Option<RelayConnected>,
    /// A relay whose proof is awaited, and since when.
    proving: Option<(Listener, Instant)>,
    /// The link, where a relay has proven who it is.
    link: Option<Inbound>,
    mac: Option<String>,
    cursor: Option<Cursor>,
    /// There may be events that the client has not got.
    behind: bool,
    head: watch::Receiver<u64>,
    reports: broadcast::Receiver<Report>,
    mailbox: Mailbox,
    mail: MailboxReceiver,
    heard_at: Instant,
    messages: DefaultDirectRateLimiter,
    watches: Option<DefaultDirectRateLimiter>,
    /// The history of the topic `tweaks` that is being told.
    past_tweaks: Option<PastTweaks>,
    ending: Ending,
}

impl Connection {
    fn new<S: AsyncRead + AsyncWrite + Unpin>(
        cx: Arc<Context>,
        stream: S,
        peer: SocketAddr,
        authorized: bool,
        ending: Ending,
    ) -> (Self, Socket<S>) {
        let (mailbox, mail) = mailbox();
        let gate = if authorized {
            None
        } else {
            cx.config().auth.read_token.clone()
        };
        let most = cx.config().max_watches_per_connection;
        let at_once = u32::try_from(most)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MIN);
        let connection = Self {
            number: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            peer,
            session: Session::new(most, gate),
            is_relay: false,
            relay: None,
            proving: None,
            link: None,
            mac: None,
            cursor: None,
            behind: false,
            head: cx.hub.head(),
            reports: cx.hub.reports(),
            mailbox,
            mail,
            heard_at: Instant::now(),
            messages: RateLimiter::direct(Quota::per_second(MESSAGES_PER_SECOND).allow_burst(MESSAGES_AT_ONCE)),
            watches: Quota::with_period(WATCH_EVERY).map(|q| RateLimiter::direct(q.allow_burst(at_once))),
            past_tweaks: None,
            ending,
            cx,
        };
        (connection, Socket::new(stream))
    }

    fn name(&self) -> String {
        format!("conn-{}", self.number)
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> End {
        let deadline = Instant::now() + HANDSHAKE_WITHIN;
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let step = tokio::select! {
                code = ended(&mut self.ending) => Err(End::Close(code, "the relay goes away".to_owned())),
                heard = socket.hear() => self.heard(socket, heard).await,
                () = sleep_until(deadline), if !self.session.is_open() => {
                    Err(End::Close(CloseCode::Protocol, "no handshake within 10 s".to_owned()))
                }
                Ok(()) = self.head.changed(), if self.session.is_open() => self.advance(socket).await,
                () = std::future::ready(()), if self.behind => self.advance(socket).await,
                frames = next_past(&mut self.past_tweaks, &self.cx.hub, self.cursor.as_ref()), if self.past_tweaks.is_some() => {
                    self.tell_past(socket, frames).await
                }
                step = link_step(&mut self.link) => self.link_step(socket, step).await,
                frame = self.mail.next() => self.deliver(socket, frame).await,
                report = self.reports.recv(), if self.session.is_open() => self.pass_on(socket, report).await,
                _ = ping.tick() => self.ping(socket).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn heard<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, heard: Heard) -> Step {
        self.heard_at = Instant::now();
        let text = match heard {
            Heard::Text(text) => text,
            // The library has queued a pong, if it was a ping: it must go out before more is read.
            Heard::Sign => return socket.flush().await.map_err(End::from),
            Heard::Binary(_) => {
                return Err(End::Close(
                    CloseCode::Unsupported,
                    "this API speaks text messages".to_owned(),
                ));
            }
            Heard::Gone => return Err(End::Gone),
        };
        self.cx.counters.messages_received.inc();
        if self.is_relay {
            self.cx.relays.seen(self.number);
        }
        if let Some(link) = &self.link {
            self.cx.mesh.heard(link.id(), link.relay_id());
        }
        let action = if self.session.is_open() && self.messages.check().is_err() {
            let message = format!("more than {MESSAGES_PER_SECOND} messages a second: wait a moment");
            let answers = message_id(&text);
            self.session.refuse(refusal(ErrorCode::RateLimited, &message, answers))
        } else {
            self.session.read(&text)
        };
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
                if let Err(reason) = self.cx.mesh.lets_unproven(&relay_id) {
                    return self.reject(socket, reason, CloseCode::Policy).await;
                }
                self.welcome(socket, begin).await?;
                let address = address.unwrap_or_else(|| self.peer.to_string());
                self.relay_joined(RelayConnected {
                    relay_id,
                    address,
                    version,
                    capabilities,
                    timestamp: unix_now(),
                    connection_id: self.name(),
                })
                .await;
                Ok(())
            }
            Action::Reject(reason, code) => self.reject(socket, reason, code).await,
            Action::Challenge(handshake) => match self.cx.mesh.challenge(&handshake) {
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
                    relay_id: self.cx.relay_id.clone(),
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::Pong(pong)).await
            }
            Action::Subscribed { added, tweaks_from } => {
                if let Some(from) = tweaks_from {
                    let Some(index) = &self.cx.index else {
                        let message = "from_height: this relay keeps no tweak index (index.enabled)";
                        return self
                            .refuse(socket, refusal(ErrorCode::Unavailable, message, None))
                            .await;
                    };
                    self.past_tweaks = Some(PastTweaks::new(index.clone(), from));
                }
                let response = ServerMessage::SubscribeResponse(self.topics("subscribed"));
                self.send(socket, &response).await?;
                self.first_reports(socket, added).await
            }
            Action::Unsubscribed => {
                let response = ServerMessage::UnsubscribeResponse(self.topics("unsubscribed"));
                self.send(socket, &response).await
            }
            Action::Sync(request) => {
                self.cx.relays.told(self.number, &request);
                let link = self.link.as_ref();
                if let Some(link) = link {
                    let payload = request.payload.as_ref();
                    self.cx.mesh.told(link.relay_id(), request.sync_type, payload);
                }
                let sender = link.map_or_else(|| self.session.client_id(), |link| link.relay_id());
                let answer = sync::answer(&self.cx, &request, sender, link.map(Inbound::id));
                let sent = self.send_frame(socket, &answer.frame).await;
                answer.ended(&self.cx, sent.as_ref().err().map(End::reason));
                sent
            }
            Action::Watch(watch) => self.watch(socket, watch).await,
            Action::Unwatch(unwatch) => self.unwatch(socket, unwatch).await,
            Action::Refuse(refusal) => self.send_error(socket, refusal).await,
            Action::RefuseAndClose(refusal, code) => {
                let reason = format!("too many errors in a row; the last: {}", refusal.message);
                self.send_error(socket, refusal).await?;
                Err(End::Close(code, reason))
            }
        }
    }

    async fn reject<S>(&mut self, socket: &mut Socket<S>, reason: String, code: CloseCode) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let response = self.handshake_response(HandshakeStatus::Rejected, Some(reason.clone()));
        self.send(socket, &ServerMessage::HandshakeResponse(response)).await?;
        Err(End::Close(code, reason))
    }

    /// A relay's proof: when it is right, the connection becomes a link of the mesh.
    async fn prove<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, proof: &RelayProof) -> Step {
        let Some((listener, since)) = self.proving.take() else {
            return self
                .reject(socket, "no proof was asked for".to_owned(), CloseCode::Protocol)
                .await;
        };
        let (peer, mac) = match self.cx.mesh.verify(listener, proof) {
            Ok(proven) => proven,
            Err(reason) => return self.reject(socket, reason, CloseCode::Policy).await,
        };
        let Some(handshake) = self.session.proven() else {
            return Err(End::Close(CloseCode::Server, "the handshake is lost".to_owned()));
        };
        self.mac = mac;
        let latency = since.elapsed();
        self.welcome(socket, Begin::Now).await?;
        let version = handshake.version.chars().take(32).collect();
        self.link = Some(self.cx.mesh.joined(&peer, latency, KnownRelay { version }));
        Ok(())
    }

    async fn link_step<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, step: LinkStep) -> Step {
        match step {
            LinkStep::Send(frame) => self.send_frame(socket, &frame).await,
            LinkStep::Close(why) => Err(End::Close(CloseCode::Normal, why.to_owned())),
        }
    }

    async fn welcome<S>(&mut self, socket: &mut Socket<S>, begin: Begin) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let place = begin.place(&self.cx.hub).await.map_err(|error| failed(&error))?;
        let response = HandshakeResponse {
            resume: place.resume,
            resumed_after: place.resumed_after,
            ..self.handshake_response(HandshakeStatus::Accepted, None)
        };
        self.cursor = Some(place.cursor);
        self.behind = true;
        self.send(socket, &ServerMessage::HandshakeResponse(response)).await?;
        self.first_reports(socket, self.session.topics().iter().collect()).await
    }

    fn handshake_response(&self, status: HandshakeStatus, reason: Option<String>) -> HandshakeResponse {
        HandshakeResponse {
            status,
            relay_id: self.cx.relay_id.clone(),
            version: API_VERSION.to_owned(),
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            timestamp: unix_now(),
            reason,
            connection_id: Some(self.name()),
            network: self.cx.config().network.name().to_owned(),
            last_event_id: *self.head.borrow(),
            silent_payment_address: Some(self.cx.address.clone()),
            software_version: SOFTWARE_VERSION.to_owned(),
            resume: None,
            resumed_after: None,
            mac: self.mac.clone(),
            relays: self.cx.mesh.around().others.clone(),
        }
    }

    fn topics(&self, status: &str) -> SubscribeResponse {
        SubscribeResponse {
            status: status.to_owned(),
            subscriptions: self.session.topics().iter().collect(),
            relay_id: self.cx.relay_id.clone(),
            timestamp: unix_now(),
        }
    }

    /// One report at once for each topic that brings them (CONTRACT, "Topics").
    async fn first_reports<S>(&mut self, socket: &mut Socket<S>, added: Vec<Topic>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for topic in added {
            if let Some(frame) = sync::report(&self.cx, topic) {
                self.send_frame(socket, &frame).await?;
            }
        }
        Ok(())
    }

    /// Hands over the next events.
    async fn advance<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        let Some(cursor) = self.cursor.as_mut() else {
            return Ok(());
        };
        match self.cx.hub.next(cursor, self.session.topics()).await {
            Ok(Next::UpToDate) => self.behind = false,
            Ok(Next::Frames(frames)) => {
                self.behind = true;
                // Detection leaves a watch's payments before it publishes what the log tells of the same block or transaction. They go out
                // in that order, so that a client that hears of a block has heard what its watches have in it.
                self.feed_mail(socket).await?;
                for frame in &frames {
                    socket.feed(frame).await?;
                }
                socket.flush().await?;
                self.cx.counters.messages_sent.inc_by(frames.len() as u64);
                self.cx.counters.notifications_sent.inc_by(frames.len() as u64);
            }
            Ok(Next::Lagged) => return Err(End::from(WriteFailed::Slow)),
            Err(error) => return Err(failed(&error)),
        }
        Ok(())
    }

    /// Hands over payments to the client's watches: this one, and those that wait behind it.
    async fn deliver<S>(&mut self, socket: &mut Socket<S>, frame: Option<Frame>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let frame = frame.ok_or(End::from(WriteFailed::Slow))?;
        self.feed_payment(socket, &frame).await?;
        self.feed_mail(socket).await?;
        Ok(socket.flush().await?)
    }

    /// The payments to the client's watches that wait, without a flush.
    async fn feed_mail<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        while let Some(frame) = self.mail.try_next() {
            self.feed_payment(socket, &frame).await?;
        }
        Ok(())
    }

    async fn feed_payment<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, frame: &Frame) -> Step {
        socket.feed(frame).await?;
        self.cx.counters.messages_sent.inc();
        self.cx.counters.notifications_sent.inc();
        Ok(())
    }

    /// Hands over a part of the history of the tweaks.
    async fn tell_past<S>(&mut self, socket: &mut Socket<S>, frames: Option<Vec<Frame>>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(frames) = frames.filter(|_| self.session.topics().contains(Topic::Tweaks)) else {
            self.past_tweaks = None;
            return Ok(());
        };
        for frame in &frames {
            self.feed_payment(socket, frame).await?;
        }
        Ok(socket.flush().await?)
    }

    async fn pass_on<S>(&mut self, socket: &mut Socket<S>, report: Result<Report, broadcast::error::RecvError>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match report {
            Ok(report) if self.session.topics().contains(report.topic) => self.send_frame(socket, &report.frame).await,
            // A missed report is replaced by the next one of its topic.
            _ => Ok(()),
        }
    }

    async fn watch<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, watch: Watch) -> Step {
        if self.watches.as_ref().is_some_and(|limit| limit.check().is_err()) {
            let message = format!("a new watch every {} s: wait a moment", WATCH_EVERY.as_secs());
            return self
                .refuse(socket, refusal(ErrorCode::RateLimited, &message, watch.message_id))
                .await;
        }
        let network = self.cx.config().network.silent_payment();
        let keys = match keys(
            &watch,
            network,
            self.cx.config().max_labels_per_watch,
            self.cx.index.is_some(),
        ) {
            Ok(keys) => keys,
            Err(refusal) => return self.refuse(socket, refusal).await,
        };
        let address = keys.addresses.get(&None).cloned().unwrap_or_default();
        let order = WatchOrder {
            receiver: keys.receiver,
            addresses: keys.addresses,
            mailbox: self.mailbox.clone(),
            history: keys.history,
        };
        match self.cx.detection.watch(order).await {
            Ok(watch_id) => {
                self.session.watching(watch_id.clone());
                let response = WatchResponse {
                    status: "watching".to_owned(),
                    watch_id,
                    address,
                    in_reply_to: watch.message_id,
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::WatchResponse(response)).await
            }
            Err(refused) => {
                let refusal = refusal(ErrorCode::Unavailable, &refused.to_string(), watch.message_id);
                self.refuse(socket, refusal).await
            }
        }
    }

    async fn unwatch<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, unwatch: Unwatch) -> Step {
        self.cx.detection.unwatch(unwatch.watch_id.clone()).await;
        let response = UnwatchResponse {
            status: "unwatched".to_owned(),
            watch_id: unwatch.watch_id,
            in_reply_to: unwatch.message_id,
            timestamp: unix_now(),
        };
        self.send(socket, &ServerMessage::UnwatchResponse(response)).await
    }

    async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, refusal: Refusal) -> Step {
        match self.session.refuse(refusal) {
            Action::RefuseAndClose(refusal, code) => {
                let reason = format!("too many errors in a row; the last: {}", refusal.message);
                self.send_error(socket, refusal).await?;
                Err(End::Close(code, reason))
            }
            Action::Refuse(refusal) => self.send_error(socket, refusal).await,
            _ => Ok(()),
        }
    }

    async fn send_error<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        refusal: Refusal,
    ) -> Step {
        self.cx.counters.error_replies.inc();
        let Refusal {
            code,
            message,
            in_reply_to,
        } = refusal;
        let error = ErrorMessage {
            code,
            message,
            in_reply_to,
            timestamp: unix_now(),
        };
        self.send(socket, &ServerMessage::Error(error)).await
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
        self.cx.counters.messages_sent.inc();
        Ok(())
    }

    async fn ping<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        if self.heard_at.elapsed() >= SILENT_AT_MOST {
            return Err(End::Close(CloseCode::GoingAway, "silent for 90 s".to_owned()));
        }
        Ok(socket.ping().await?)
    }

    async fn relay_joined(&mut self, relay: RelayConnected) {
        self.is_relay = true;
        if self.cx.relays.joined(self.number, &relay) {
            self.cx.detection.log(Event::RelayConnected(relay.clone())).await;
            self.relay = Some(relay);
        }
    }

    /// Cleans up behind the client: its keys are wiped, its leaving is told.
    async fn leave(&mut self) {
        if self.session.has_watches() {
            self.cx.detection.leave(self.mailbox.clone()).await;
        }
        self.cx.relays.gone(self.number);
        if let Some(RelayConnected {
            relay_id,
            address,
            connection_id,
            ..
        }) = self.relay.take()
        {
            let gone = RelayDisconnected {
                relay_id,
                address,
                timestamp: unix_now(),
                connection_id,
            };
            self.cx.detection.log(Event::RelayDisconnected(gone)).await;
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

/// What a link has to do; nothing, ever, where there is none.
async fn link_step(link: &mut Option<Inbound>) -> LinkStep {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

fn failed(error: &dyn std::error::Error) -> End {
    tracing::error!(%error, "the log cannot be read for a client");
    End::Close(CloseCode::Server, "the relay cannot read its log".to_owned())
}
