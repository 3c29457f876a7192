//! `GET /events/poll`: the topic `notifications` for programs that do not keep a connection, such as a cron job. Same
//! ids and same rules of resumption as `GET /events`.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sdk_relay_events::{Cursor, Frame, Hub, Next};
use sdk_relay_http_common::query::{limit, number};
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::http::PolledEvents;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_telemetry::Traffic;
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_transport::{ClientAddress, ListenerState, PeerFinished, shutdown_requested};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::events::Place;

const DEFAULT_WAIT: u64 = 30;
/// Below the time for an answer, and below the minute after which most proxies give up.
const LONGEST_WAIT: u64 = 50;
/// Events of one answer together, unless the first alone is larger.
const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PollQuery {
    /// `last_event_id` of the answer before. Without it the answer comes at once and has no events, only the position
    /// to begin at.
    #[param(nullable = false, example = 22)]
    #[serde(default, deserialize_with = "number")]
    after: Option<u64>,
    /// How long to wait for an event, in seconds.
    #[param(nullable = false, maximum = 50, default = 30)]
    #[serde(default, deserialize_with = "number")]
    wait: Option<u64>,
    /// Most events of the answer. It has fewer when they have more than 1 MiB together.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    #[serde(default, deserialize_with = "number")]
    limit: Option<u64>,
}

/// [`PolledEvents`] with the text of the log, which is not parsed.
#[derive(Serialize)]
pub(super) struct Polled {
    events: Vec<Box<RawValue>>,
    last_event_id: u64,
    gap: bool,
    timestamp: u64,
}

/// Returns the notifications after an event, and waits for the first one if there is none yet.
///
/// A gap is reported with the events that are still there, and at once if it moves `last_event_id`. A client that sends
/// the newest `last_event_id` each time, after it has processed the events, misses none.
#[utoipa::path(
    get,
    path = "/events/poll",
    operation_id = "pollEvents",
    tag = "Events",
    security(("readToken" = []), ("adminToken" = [])),
    params(PollQuery),
    responses(
        (status = 200, description = "The events; none if there was none in time", body = PolledEvents),
        (status = 400, description = "The query cannot be parsed"),
        (status = 422, description = "`wait` or `limit` is too large, or `limit` is 0"),
        (status = 503, description = "Too many connections, or events were removed while they were read: try again"),
    ),
)]
pub(super) async fn poll(
    State(hub): State<Arc<Hub>>,
    State(traffic): State<Arc<Traffic>>,
    Extension(listeners): Extension<Arc<ListenerState>>,
    Extension(client): Extension<ClientAddress>,
    Extension(mut finished): Extension<PeerFinished>,
    query: Result<Query<PollQuery>, QueryRejection>,
) -> Result<Json<Polled>, ApiError> {
    let Query(PollQuery {
        after,
        wait,
        limit: most,
    }) = query?;
    let most = usize::try_from(limit(most)?).map_err(|_| ApiError::internal())?;
    let wait = wait.unwrap_or(DEFAULT_WAIT);
    if wait > LONGEST_WAIT {
        return Err(ApiError::field(
            "wait",
            format!("expected at most {LONGEST_WAIT} seconds"),
        ));
    }
    let Some(after) = after else {
        return Ok(Json(Polled::new(hub.newest(), false)));
    };
    let deadline = Instant::now() + Duration::from_secs(wait);
    let _place = Place::take(&listeners, client, &traffic)?;
    let mut head = hub.head();
    let log = Arc::clone(&hub);
    let (cursor, resume) = match blocking::spawn(move || log.resume(after)).await {
        Ok(Ok(resumed)) => resumed,
        _ => return Err(ApiError::internal()),
    };
    let mut reader = Reader {
        polled: Polled::new(cursor.after(), resume == Resume::Gap),
        // A client that is answered with its own position again would ask without a pause.
        waits: cursor.after() == after,
        cursor,
        hub,
        most,
        bytes: 0,
    };
    let mut ending = listeners.ending.clone();
    while !reader.read().await? {
        tokio::select! {
            changed = timeout_at(deadline, head.changed()) => if !matches!(changed, Ok(Ok(()))) { break },
            _ = shutdown_requested(&mut ending) => break,
            // It may have left; who only closed its sending side has its answer.
            () = finished.finished() => break,
        }
    }
    let polled = reader.polled;
    traffic.notifications_sent.inc_by(polled.events.len() as u64);
    Ok(Json(polled))
}

impl Polled {
    fn new(last_event_id: u64, gap: bool) -> Self {
        Self {
            events: Vec::new(),
            last_event_id,
            gap,
            timestamp: unix_now(),
        }
    }
}

/// Collects the events of one answer.
struct Reader {
    hub: Arc<Hub>,
    /// Whether an answer without an event waits for one, although there is a gap.
    waits: bool,
    cursor: Cursor,
    polled: Polled,
    most: usize,
    bytes: usize,
}

impl Reader {
    /// Reads up to the newest event; returns whether there is something to answer.
    async fn read(&mut self) -> Result<bool, ApiError> {
        loop {
            match self
                .hub
                .next(&mut self.cursor, Topics::from_iter([Topic::Notifications]))
                .await
            {
                Ok(Next::Frames(frames)) => {
                    for frame in frames {
                        if !self.has_room_for(&frame) {
                            return Ok(true);
                        }
                        self.add(&frame)?;
                    }
                    self.polled.last_event_id = self.cursor.after();
                }
                Ok(Next::UpToDate) => {
                    self.polled.timestamp = unix_now();
                    return Ok((self.polled.gap && !self.waits) || !self.polled.events.is_empty());
                }
                // What was read is answered; the next request continues behind it, or is answered with a gap.
                Ok(Next::Lagged | Next::Hole) if !self.polled.events.is_empty() => return Ok(true),
                Ok(Next::Lagged | Next::Hole) => {
                    return Err(ApiError::unavailable(
                        "events were removed while they were read: try again",
                    ));
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the event log for a request of events");
                    return Err(ApiError::internal());
                }
            }
        }
    }

    fn has_room_for(&self, frame: &Frame) -> bool {
        let events = self.polled.events.len();
        events == 0 || (events < self.most && self.bytes + frame.len() <= MOST_BYTES)
    }

    fn add(&mut self, frame: &Frame) -> Result<(), ApiError> {
        let text = std::str::from_utf8(&frame.text())
            .ok()
            .and_then(|text| RawValue::from_string(text.to_owned()).ok())
            .ok_or_else(ApiError::internal)?;
        self.bytes += frame.len();
        self.polled.last_event_id = frame.event_id().unwrap_or(self.polled.last_event_id);
        self.polled.events.push(text);
        Ok(())
    }
}
