//! The task that owns the socket: it sends requests, delivers responses and events, and reconnects.

mod reconnect;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sdk_relay_protocol::{
    ClientMessage, EndReason, ErrorCode, Event, HandshakeResponse, Notification, Resume, ServerMessage, Topic, Topics,
    Unwatch, Watch,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::backoff::Backoff;
use crate::client::{Handle, MessageIds, Shared};
use crate::connection::Connection;
use crate::defaults::{EVENT_QUEUE, REQUEST_QUEUE, SILENCE, SOUND_AFTER};
use crate::in_flight::{InFlight, Purpose, Request, name};
use crate::parts::Parts;
use crate::reported::{ReportedBlocks, Verdict};
use crate::routes::Routes;
use crate::watches::Watches;
use crate::{Client, ClientBuilder, ClientEvent, Disconnect, Events, RequestError};

/// Starts the task. It ends when every clone of the [`Client`] is dropped, or when the client does not reconnect.
pub(crate) fn start(builder: ClientBuilder, connection: Connection, relay: HandshakeResponse) -> (Client, Events) {
    let (requests, request_queue) = mpsc::channel(REQUEST_QUEUE);
    let (events, queue) = mpsc::channel(EVENT_QUEUE);
    let (stop, stopped) = watch::channel(false);
    // A log that ends before `resume_from` is another log: none of its events were delivered.
    let mut routes = Routes::new(&builder.url, &builder.others);
    if builder.follow_mesh {
        routes.set_listed(&relay.relays);
    }
    let begin = builder.resume_from.unwrap_or(u64::MAX).min(relay.last_event_id);
    let shared = Arc::new(Shared {
        last_event_id: AtomicU64::new(begin),
        relay: watch::Sender::new(Arc::new(relay)),
    });
    let message_ids = MessageIds::new();
    let handle = Handle {
        requests,
        stop,
        shared: Arc::clone(&shared),
        message_ids: message_ids.clone(),
        client_id: builder.client_id.clone(),
        relay_id: builder.relay_id.clone(),
    };
    let driver = Driver {
        topics: topics_of(&builder.capabilities).collect(),
        routes,
        reported: ReportedBlocks::default(),
        parts: Parts::default(),
        builder,
        requests: request_queue,
        events,
        waiting: None,
        shared: Arc::clone(&shared),
        message_ids,
        in_flight: InFlight::default(),
        watches: Watches::default(),
        last_queued: begin,
        resume: Resume::Complete,
        backoff: Backoff::default(),
    };
    tokio::spawn(driver.run(connection, stopped));
    (Client::new(handle), Events::new(queue, shared))
}

struct Driver {
    builder: ClientBuilder,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<ClientEvent>,
    /// Waits for capacity in `events`. Meanwhile the socket is not read.
    waiting: Option<ClientEvent>,
    shared: Arc<Shared>,
    message_ids: MessageIds,
    in_flight: InFlight,
    watches: Watches,
    routes: Routes,
    reported: ReportedBlocks,
    parts: Parts,
    topics: Topics,
    /// `event_id` of the last notification that was put into `events`.
    last_queued: u64,
    /// Whether the connection continues where the last one ended.
    resume: Resume,
    backoff: Backoff,
}

/// The next thing to handle.
enum Step {
    Received(Result<Option<ServerMessage>, Disconnect>),
    Requested(Request),
    Delivered,
    Flushed(Result<(), Disconnect>),
    Silence,
}

impl Driver {
    async fn run(mut self, connection: Connection, mut stopped: watch::Receiver<bool>) {
        let mut connection = Some(connection);
        tokio::select! {
            // An error means that the last handle was dropped.
            _ = stopped.wait_for(|stop| *stop) => {}
            () = self.drive(&mut connection) => {}
        }
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    async fn drive(&mut self, connection: &mut Option<Connection>) {
        while let Some(open) = connection {
            let reason = self.serve(open).await;
            if open.opened().elapsed() >= SOUND_AFTER {
                self.backoff.reset();
            }
            self.in_flight.fail_all();
            if let Some(ended) = connection.take() {
                ended.close().await;
            }
            *connection = self.reconnect(reason).await;
        }
    }

    /// Serves the connection until it ends.
    async fn serve(&mut self, connection: &mut Connection) -> Disconnect {
        if let Err(reason) = self.restore(connection).await {
            return reason;
        }
        let mut last_received = Instant::now();
        loop {
            let done = match self.next(connection, last_received).await {
                Step::Received(Ok(message)) => {
                    last_received = Instant::now();
                    match message {
                        Some(message) => self.received(connection, message).await,
                        None => Ok(()),
                    }
                }
                Step::Requested(request) => self.ask(connection, request).await,
                Step::Delivered => {
                    // While the queue was full, the socket was not read.
                    last_received = Instant::now();
                    Ok(())
                }
                Step::Received(Err(reason)) => Err(reason),
                Step::Flushed(result) => result,
                Step::Silence => Err(Disconnect::Silent(SILENCE)),
            };
            if let Err(reason) = done {
                return reason;
            }
        }
    }

    async fn next(&mut self, connection: &mut Connection, last_received: Instant) -> Step {
        let has_capacity = self.in_flight.has_capacity();
        if self.waiting.is_none() {
            return tokio::select! {
                message = connection.read() => Step::Received(message),
                Some(request) = self.requests.recv(), if has_capacity => Step::Requested(request),
                () = sleep_until(last_received + SILENCE) => Step::Silence,
            };
        }
        let unsent = connection.has_unsent();
        tokio::select! {
            slot = self.events.reserve() => {
                // Without a slot the app has dropped its `Events`: discard the event.
                if let (Ok(slot), Some(event)) = (slot, self.waiting.take()) {
                    slot.send(event);
                }
                Step::Delivered
            }
            Some(request) = self.requests.recv(), if has_capacity => Step::Requested(request),
            result = connection.flush(), if unsent => Step::Flushed(result),
        }
    }

    async fn received(&mut self, connection: &mut Connection, message: ServerMessage) -> Result<(), Disconnect> {
        match message {
            ServerMessage::Notification(notification) => self.notified(connection, notification).await?,
            ServerMessage::WatchProgress(mut progress) => {
                self.watches.set_progress(&progress);
                if let Some(id) = self.watches.id(&progress.watch_id) {
                    progress.watch_id = id.to_owned();
                }
                self.waiting = Some(ClientEvent::WatchProgress(progress));
                self.rescan(connection).await?;
            }
            ServerMessage::WatchGap(mut gap) => {
                self.watches.set_delivered(&gap.watch_id, gap.last_watch_seq);
                if let Some(id) = self.watches.id(&gap.watch_id) {
                    gap.watch_id = id.to_owned();
                }
                self.waiting = Some(ClientEvent::MatchesLost(gap));
            }
            ServerMessage::WatchEnded(mut ended) => {
                let Some(id) = self.watches.id(&ended.watch_id).map(ToOwned::to_owned) else {
                    return Ok(());
                };
                // After a restart it is registered again.
                if ended.reason == EndReason::RelayStopped && self.watches.stopped(&id) {
                    return Ok(());
                }
                self.watches.remove(&id);
                ended.watch_id = id;
                self.waiting = Some(ClientEvent::WatchEnded(ended));
            }
            ServerMessage::Sync(sync) => self.waiting = Some(ClientEvent::Sync(Box::new(sync))),
            answer => match (self.in_flight.answered_by(&answer), answer) {
                (Some(request), answer) => self.answered(connection, request, answer).await?,
                (None, ServerMessage::Error(error)) => self.waiting = Some(ClientEvent::Error(error)),
                (None, answer) => tracing::debug!(?answer, "ignoring an unexpected answer"),
            },
        }
        Ok(())
    }

    async fn notified(
        &mut self,
        connection: &mut Connection,
        mut notification: Notification,
    ) -> Result<(), Disconnect> {
        if notification.event_id.is_some_and(|id| id <= self.last_queued) || !self.watches.is_new(&notification) {
            return Ok(());
        }
        if let Event::Tweaks(part) = notification.event {
            // A block counts as received with its last part: after a reconnect the client resumes before it.
            let Some(block) = self.parts.take(part) else {
                return Ok(());
            };
            notification.event = Event::Tweaks(block);
        }
        if let Some(id) = notification.event_id {
            self.last_queued = id;
        }
        match self.reported.observe(&notification.event) {
            Verdict::Known => return Ok(()),
            Verdict::New(disconnected) => {
                for block in disconnected {
                    self.watches.disconnected(block.block_height);
                    let notification = Notification {
                        timestamp: block.timestamp,
                        event: Event::BlockDisconnected(block),
                        event_id: None,
                        watch_seq: None,
                    };
                    self.deliver(ClientEvent::Notification(Box::new(notification))).await;
                }
            }
        }
        match &notification.event {
            Event::BlockDisconnected(block) => self.watches.disconnected(block.block_height),
            // A block that replaces others: the history of the relay contains it.
            Event::BlockMined(block) => {
                self.watches.connected(block.block_height);
                self.rescan(connection).await?;
            }
            _ => {}
        }
        self.watches.translate(&mut notification);
        self.waiting = Some(ClientEvent::Notification(Box::new(notification)));
        Ok(())
    }

    /// Registers again the watches that have missed blocks.
    async fn rescan(&mut self, connection: &mut Connection) -> Result<(), Disconnect> {
        for rescan in self.watches.rescans() {
            // First: a connection has a limit of watches.
            self.unwatch(connection, &rescan.relay_id).await?;
            self.register_watch(connection, rescan.id, rescan.watch).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, connection: &mut Connection, mut request: Request) -> Result<(), Disconnect> {
        if let Purpose::App(reply) = &request.purpose
            && reply.is_closed()
        {
            return Ok(());
        }
        if let ClientMessage::Unwatch(unwatch) = &mut request.message {
            match self.watches.relay_id(&unwatch.watch_id) {
                Some(relay_id) => unwatch.watch_id = relay_id.to_owned(),
                None if self.watches.contains(&unwatch.watch_id) => {
                    let request_name = name(&request.message);
                    request
                        .purpose
                        .answer(Err(RequestError::Disconnected { request: request_name }));
                    return Ok(());
                }
                // Unknown: the error of the relay says so.
                None => {}
            }
        }
        if let ClientMessage::Attach(attach) = &mut request.message
            && let Err(error) = self.watches.fill(attach)
        {
            request.purpose.answer(Err(error));
            return Ok(());
        }
        connection.write(&request.message).await?;
        self.in_flight.push(request);
        Ok(())
    }

    async fn answered(
        &mut self,
        connection: &mut Connection,
        request: Request,
        mut answer: ServerMessage,
    ) -> Result<(), Disconnect> {
        if let ServerMessage::SubscribeResponse(r) | ServerMessage::UnsubscribeResponse(r) = &answer {
            self.topics = r.subscriptions.iter().copied().collect();
        }
        if let (ClientMessage::Unwatch(unwatch), ServerMessage::UnwatchResponse(r)) = (&request.message, &mut answer)
            && let Some(id) = self.watches.id(&unwatch.watch_id).map(ToOwned::to_owned)
        {
            self.watches.remove(&id);
            r.watch_id = id;
        }
        match request.purpose {
            Purpose::App(reply) => {
                let request_name = name(&request.message);
                match (request.message, &mut answer) {
                    (ClientMessage::Watch(_), ServerMessage::WatchResponse(r)) if reply.is_closed() => {
                        // The app stopped waiting and does not know the id, so it could not end this watch.
                        return self.unwatch(connection, &r.watch_id).await;
                    }
                    (ClientMessage::Watch(watch), ServerMessage::WatchResponse(r))
                        if watch.from_time.is_some() && r.from_height.is_none() =>
                    {
                        // It has ignored the field.
                        self.unwatch(connection, &r.watch_id).await?;
                        Purpose::App(reply).answer(Err(RequestError::Refused {
                            request: request_name,
                            code: ErrorCode::Unavailable,
                            message: "this relay does not know from_time (its version is older than 0.2.0): give \
                                      from_height"
                                .to_owned(),
                        }));
                        return Ok(());
                    }
                    (ClientMessage::Watch(watch), ServerMessage::WatchResponse(r)) => {
                        let tip = self.reported.tip();
                        let relay_id = std::mem::take(&mut r.watch_id);
                        r.watch_id = self.watches.add(watch, &relay_id, r.from_height, tip);
                        if let Some(token) = &r.watch_token {
                            let url = self.routes.current();
                            self.watches.set_detached(&r.watch_id, &relay_id, token, url);
                        }
                    }
                    (ClientMessage::Attach(attach), ServerMessage::AttachResponse(r)) => {
                        r.watch_id = self.watches.attached(attach, self.routes.current());
                    }
                    _ => {}
                }
                let result = match answer {
                    ServerMessage::Error(e) => Err(RequestError::Refused {
                        request: request_name,
                        code: e.code,
                        message: e.message,
                    }),
                    answer => Ok(answer),
                };
                Purpose::App(reply).answer(result);
            }
            Purpose::RegisterWatch(watch_id) => match answer {
                ServerMessage::WatchResponse(mut r) => {
                    self.watches.registered(&watch_id, &r.watch_id);
                    if let Some(token) = &r.watch_token {
                        let url = self.routes.current();
                        self.watches.set_detached(&watch_id, &r.watch_id, token, url);
                        r.in_reply_to = None;
                        let response = Box::new(r);
                        self.waiting = Some(ClientEvent::WatchRenewed { watch_id, response });
                    }
                    self.rescan(connection).await?;
                }
                ServerMessage::Error(error) if error.code == ErrorCode::Unavailable => {
                    if let Some(watch) = self.watches.without_history(&watch_id) {
                        self.register_watch(connection, watch_id.clone(), watch).await?;
                        self.waiting = Some(ClientEvent::WatchGap { watch_id });
                    } else {
                        self.watches.remove(&watch_id);
                        self.waiting = Some(ClientEvent::WatchLost { watch_id, error });
                    }
                }
                ServerMessage::Error(error) => {
                    self.watches.remove(&watch_id);
                    self.waiting = Some(ClientEvent::WatchLost { watch_id, error });
                }
                _ => {}
            },
            Purpose::AttachWatch(watch_id) => match answer {
                ServerMessage::AttachResponse(r) => self.watches.registered(&watch_id, &r.watch_id),
                ServerMessage::Error(error) => match self.watches.renew(&watch_id, error.code) {
                    Some(watch) => self.register_watch(connection, watch_id, watch).await?,
                    None => {
                        self.watches.remove(&watch_id);
                        self.waiting = Some(ClientEvent::WatchLost { watch_id, error });
                    }
                },
                _ => {}
            },
            Purpose::Internal => {}
        }
        Ok(())
    }

    async fn register_watch(
        &mut self,
        connection: &mut Connection,
        watch_id: String,
        mut watch: Watch,
    ) -> Result<(), Disconnect> {
        watch.message_id = Some(self.message_ids.next());
        self.send(
            connection,
            ClientMessage::Watch(watch),
            Purpose::RegisterWatch(watch_id),
        )
        .await
    }

    async fn unwatch(&mut self, connection: &mut Connection, relay_watch_id: &str) -> Result<(), Disconnect> {
        let message = ClientMessage::Unwatch(Unwatch {
            watch_id: relay_watch_id.to_owned(),
            message_id: Some(self.message_ids.next()),
        });
        self.send(connection, message, Purpose::Internal).await
    }

    async fn send(
        &mut self,
        connection: &mut Connection,
        message: ClientMessage,
        purpose: Purpose,
    ) -> Result<(), Disconnect> {
        connection.write(&message).await?;
        self.in_flight.push(Request { message, purpose });
        Ok(())
    }

    async fn deliver(&self, event: ClientEvent) {
        #[expect(
            clippy::let_underscore_must_use,
            reason = "it fails when the app has dropped its `Events`"
        )]
        let _ = self.events.send(event).await;
    }
}

fn topics_of(capabilities: &[String]) -> impl Iterator<Item = Topic> {
    capabilities.iter().filter_map(|name| Topic::from_name(name))
}
