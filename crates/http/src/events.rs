//! `GET /events`: the topic `notifications` as server-sent events, for clients without WebSocket.
//!
//! Each event has its `event_id` as `id`, so that a browser resumes by itself (`Last-Event-ID`). A client that falls
//! behind is disconnected, reconnects, and resumes; if that is incomplete, an event named `gap` comes first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use sdk_relay_events::{Cursor, Frame, Hub, Next};
use sdk_relay_http_common::{ApiError, query::digits};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::http::StreamedEvent;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_telemetry::Traffic;
use sdk_relay_transport::{ClientAddress, ListenerState, PeerFinished, Permit, Shutdown, shutdown_requested};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams notifications as server-sent events.
///
/// `id` is the `event_id`, `data` the whole notification, as over the WebSocket. With `Last-Event-ID` the stream
/// begins after that event, otherwise with the next event. If some of the missed events are no longer retained, an
/// event named `gap` comes first. The stream does not end by itself.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "streamEvents",
    tag = "Events",
    security(("readToken" = []), ("adminToken" = [])),
    params((
        "Last-Event-ID" = Option<u64>, Header, nullable = false, description = "Last event that the client has processed; browsers send it by themselves",
    )),
    responses(
        (status = 200, description = "The stream; the schema is that of one event", body = StreamedEvent, content_type = "text/event-stream"),
        (status = 422, description = "`Last-Event-ID` is not a number"),
        (status = 503, description = "Too many connections"),
    ),
)]
pub(super) async fn events(
    State(hub): State<Arc<Hub>>,
    State(traffic): State<Arc<Traffic>>,
    Extension(listeners): Extension<Arc<ListenerState>>,
    Extension(client): Extension<ClientAddress>,
    Extension(finished): Extension<PeerFinished>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = Place::take(&listeners, client, &traffic)?;
    let head = hub.head();
    let (cursor, resume) = match last_event_id(&headers)? {
        // Before the first block is known, events are not logged.
        None => (hub.live(), hub.tip().is_none().then_some(Resume::Gap)),
        Some(from) => {
            let log = Arc::clone(&hub);
            let resumed = blocking::spawn(move || log.resume(from)).await;
            match resumed {
                Ok(Ok((cursor, resume))) => (cursor, Some(resume)),
                _ => return Err(ApiError::internal()),
            }
        }
    };
    // The first line is sent immediately, so that a browser reports the stream as open.
    let first = if resume == Some(Resume::Gap) {
        "event: gap\ndata: {}\n\n"
    } else {
        ": welcome\n\n"
    };
    let feed = Feed {
        topics: Topics::from_iter([Topic::Notifications]),
        first: Some(first),
        waiting: VecDeque::new(),
        ending: listeners.ending.clone(),
        finished,
        head,
        cursor,
        hub,
        traffic,
        _place: place,
    };
    let body = stream::unfold(feed, |mut feed| async move {
        let bytes = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), feed))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        // A cache, or a compressing proxy, would delay events.
        (CACHE_CONTROL, "no-cache, no-transform"),
        // Disables the buffering of nginx.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// A place among the clients that wait for events, of this relay and of their address.
pub(super) struct Place {
    _permit: Permit,
    _stream: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn take(listeners: &ListenerState, client: ClientAddress, traffic: &Traffic) -> Result<Self, ApiError> {
        let stream = Arc::clone(&listeners.streams).try_acquire_owned();
        match (listeners.admission.admit(client.ip()), stream) {
            (Some(permit), Ok(stream)) => Ok(Self {
                _permit: permit,
                _stream: stream,
            }),
            _ => {
                traffic.connections_refused.inc();
                Err(ApiError::unavailable(
                    "too many connections: try again later, or at another relay",
                ))
            }
        }
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|v| digits(v.trim()));
    number
        .map(Some)
        .ok_or_else(|| ApiError::field("Last-Event-ID", "expected the id of an event of this stream: a number"))
}

/// One client's stream.
struct Feed {
    hub: Arc<Hub>,
    traffic: Arc<Traffic>,
    cursor: Cursor,
    topics: Topics,
    /// The first line, until it is sent.
    first: Option<&'static str>,
    /// Shared frames; each is formatted when it is sent.
    waiting: VecDeque<Frame>,
    head: watch::Receiver<u64>,
    ending: Shutdown,
    finished: PeerFinished,
    _place: Place,
}

impl Feed {
    /// The next bytes; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(first) = self.first.take() {
                return Some(Bytes::from_static(first.as_bytes()));
            }
            if let Some(frame) = self.waiting.pop_front() {
                return Some(event_text(&frame));
            }
            match self.hub.next(&mut self.cursor, self.topics).await {
                Ok(Next::Frames(frames)) => {
                    self.traffic.notifications_sent.inc_by(frames.len() as u64);
                    self.waiting.extend(frames);
                }
                Ok(Next::UpToDate) => tokio::select! {
                    changed = self.head.changed() => changed.ok()?,
                    () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
                    _ = shutdown_requested(&mut self.ending) => return None,
                    // Probably it has disconnected, which cannot be distinguished from a half-close: it has received
                    // all available events.
                    () = self.finished.finished() => return None,
                },
                Ok(Next::Lagged) => {
                    self.traffic.slow_clients_cut.inc();
                    return None;
                }
                // The browser reconnects with the id of its last event, and receives a `gap`.
                Ok(Next::Hole) => return None,
                Err(error) => {
                    tracing::error!(%error, "cannot read the event log; ending a stream of events");
                    return None;
                }
            }
        }
    }
}

/// A notification as an event: `event_id` as `id`, JSON as `data`. The JSON contains no line breaks.
fn event_text(frame: &Frame) -> Bytes {
    let text = frame.text();
    let mut event = Vec::with_capacity(text.len() + 32);
    // An empty id would reset the last event id of the browser.
    if let Some(id) = frame.event_id() {
        event.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&text);
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::ServerMessage;

    use super::*;

    #[test]
    fn an_event_has_its_id() {
        let logged = Bytes::from_static(br#"{"type":"notification","data":{"event_id":3},"event_id":1204}"#);
        let frame = Frame::logged(1204, logged);
        let text = event_text(&frame);
        assert!(text.starts_with(b"id: 1204\ndata: {\"type\""), "{text:?}");
        assert!(text.ends_with(b"}\n\n"));
        let message: ServerMessage = serde_json::from_value(serde_json::json!({
            "type": "notification", "notification_type": "tweaks", "timestamp": 1, "event_id": null,
            "data": {"block_height": 1, "block_hash": "ab", "transactions": []},
        }))
        .unwrap();
        assert!(event_text(&Frame::encode(&message)).starts_with(b"data: {"));
    }
}
