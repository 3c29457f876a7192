//! The task that owns the socket: it sends requests, hands answers and events over, and connects again.

mod again;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sdk_relay_protocol::{
    ClientMessage, ErrorCode, Event, HandshakeResponse, Notification, ServerMessage, Topic, Topics, Unwatch, Watch,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::backoff::Backoff;
use crate::client::{Handle, MessageIds, Shared};
use crate::connection::Connection;
use crate::defaults::{EVENT_QUEUE, REQUEST_QUEUE, SILENCE, SOUND_AFTER};
use crate::heard::{Heard, Verdict};
use crate::in_flight::{InFlight, Purpose, Request, name};
use crate::parts::Parts;
use crate::routes::Routes;
use crate::watches::Watches;
use crate::{Client, ClientBuilder, ClientEvent, Disconnect, Events, RequestError};

/// Starts the task. It ends when every clone of the [`Client`] is dropped, or when the connection ends for good.
pub(crate) fn start(builder: ClientBuilder, connection: Connection, relay: HandshakeResponse) -> (Client, Events) {
    let (requests, asked) = mpsc::channel(REQUEST_QUEUE);
    let (events, queue) = mpsc::channel(EVENT_QUEUE);
    let (stop, stopped) = watch::channel(false);
    // A log that ends before our place in it is another log: nothing of it was handed over.
    let mut routes = Routes::new(&builder.url, &builder.others);
    if builder.follow_mesh {
        routes.told(&relay.relays);
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
        heard: Heard::default(),
        parts: Parts::default(),
        builder,
        requests: asked,
        events,
        waiting: None,
        shared: Arc::clone(&shared),
        message_ids,
        in_flight: InFlight::default(),
        watches: Watches::default(),
        last_queued: begin,
        backoff: Backoff::default(),
    };
    tokio::spawn(driver.run(connection, stopped));
    (Client::new(handle), Events::new(queue, shared))
}

struct Driver {
    builder: ClientBuilder,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<ClientEvent>,
    /// Waits for room in `events`. While it does, nothing is read.
    waiting: Option<ClientEvent>,
    shared: Arc<Shared>,
    message_ids: MessageIds,
    in_flight: InFlight,
    watches: Watches,
    routes: Routes,
    heard: Heard,
    parts: Parts,
    topics: Topics,
    /// The `event_id` up to which everything is in `events` or was.
    last_queued: u64,
    backoff: Backoff,
}

/// What happened next.
enum Step {
    Heard(Result<Option<ServerMessage>, Disconnect>),
    Asked(Request),
    HandedOver,
    Flushed(Result<(), Disconnect>),
    Silence,
}

impl Driver {
    async fn run(mut self, connection: Connection, mut stopped: watch::Receiver<bool>) {
        let mut connection = Some(connection);
        tokio::select! {
            // An error says that the last handle was dropped.
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
            *connection = self.connect_again(reason).await;
        }
    }

    /// Until the connection ends.
    async fn serve(&mut self, connection: &mut Connection) -> Disconnect {
        if let Err(reason) = self.restore(connection).await {
            return reason;
        }
        let mut heard = Instant::now();
        loop {
            let done = match self.next(connection, heard).await {
                Step::Heard(Ok(message)) => {
                    heard = Instant::now();
                    match message {
                        Some(message) => self.hear(connection, message).await,
                        None => Ok(()),
                    }
                }
                Step::Asked(request) => self.ask(connection, request).await,
                Step::HandedOver => {
                    // The relay was not silent while we did not listen.
                    heard = Instant::now();
                    Ok(())
                }
                Step::Heard(Err(reason)) => Err(reason),
                Step::Flushed(result) => result,
                Step::Silence => Err(Disconnect::Silent(SILENCE)),
            };
            if let Err(reason) = done {
                return reason;
            }
        }
    }

    async fn next(&mut self, connection: &mut Connection, heard: Instant) -> Step {
        let has_room = self.in_flight.has_room();
        if self.waiting.is_none() {
            return tokio::select! {
                message = connection.read() => Step::Heard(message),
                Some(request) = self.requests.recv(), if has_room => Step::Asked(request),
                () = sleep_until(heard + SILENCE) => Step::Silence,
            };
        }
        let unsent = connection.has_unsent();
        tokio::select! {
            room = self.events.reserve() => {
                // Without a room nobody listens: the event is for nobody.
                if let (Ok(room), Some(event)) = (room, self.waiting.take()) {
                    room.send(event);
                }
                Step::HandedOver
            }
            Some(request) = self.requests.recv(), if has_room => Step::Asked(request),
            result = connection.flush(), if unsent => Step::Flushed(result),
        }
    }

    async fn hear(&mut self, connection: &mut Connection, message: ServerMessage) -> Result<(), Disconnect> {
        match message {
            ServerMessage::Notification(notification) => self.notified(notification).await,
            ServerMessage::WatchProgress(mut progress) => {
                self.watches.told(&progress);
                if let Some(id) = self.watches.id(&progress.watch_id) {
                    progress.watch_id = id.to_owned();
                }
                self.waiting = Some(ClientEvent::WatchProgress(progress));
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

    async fn notified(&mut self, mut notification: Notification) {
        if notification.event_id.is_some_and(|id| id <= self.last_queued) {
            return;
        }
        if let Event::Tweaks(part) = notification.event {
            // Until its last part has come, the block counts as one that has not: a new connection resumes before it.
            let Some(block) = self.parts.take(part) else { return };
            notification.event = Event::Tweaks(block);
        }
        if let Some(id) = notification.event_id {
            self.last_queued = id;
        }
        match self.heard.look(&notification.event) {
            Verdict::Known => return,
            Verdict::New(gone) => {
                for block in gone {
                    let notification = Notification {
                        timestamp: block.timestamp,
                        event: Event::BlockDisconnected(block),
                        event_id: None,
                    };
                    self.hand_over(ClientEvent::Notification(Box::new(notification))).await;
                }
            }
        }
        self.watches.translate(&mut notification);
        self.waiting = Some(ClientEvent::Notification(Box::new(notification)));
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
                // The relay says best what it does not know.
                None => {}
            }
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
                if let (ClientMessage::Watch(watch), ServerMessage::WatchResponse(r)) = (request.message, &mut answer) {
                    if reply.is_closed() {
                        // The app gave up waiting and does not know the name: nobody could end this watch.
                        return self.unwatch(connection, &r.watch_id).await;
                    }
                    r.watch_id = self.watches.add(watch, &r.watch_id);
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
            Purpose::WatchAgain(watch_id) => match answer {
                ServerMessage::WatchResponse(r) => self.watches.renamed(&watch_id, &r.watch_id),
                ServerMessage::Error(error) if error.code == ErrorCode::Unavailable => {
                    if let Some(watch) = self.watches.without_history(&watch_id) {
                        self.watch_again(connection, watch_id.clone(), watch).await?;
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
            Purpose::Nobody => {}
        }
        Ok(())
    }

    async fn watch_again(
        &mut self,
        connection: &mut Connection,
        watch_id: String,
        mut watch: Watch,
    ) -> Result<(), Disconnect> {
        watch.message_id = Some(self.message_ids.next());
        self.send(connection, ClientMessage::Watch(watch), Purpose::WatchAgain(watch_id))
            .await
    }

    async fn unwatch(&mut self, connection: &mut Connection, relay_watch_id: &str) -> Result<(), Disconnect> {
        let message = ClientMessage::Unwatch(Unwatch {
            watch_id: relay_watch_id.to_owned(),
            message_id: Some(self.message_ids.next()),
        });
        self.send(connection, message, Purpose::Nobody).await
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

    async fn hand_over(&self, event: ClientEvent) {
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
