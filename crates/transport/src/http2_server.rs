//! A port that speaks HTTP/2 only, for gRPC: connections, their bounds, and requests.
//!
//! Plain text without an upgrade (`h2c` with prior knowledge), or TLS with the protocol `h2`. Requests of a connection
//! run at once, each as a task that the supervisor owns and that ends with its connection.

mod activity;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sdk_relay_platform::net::Listener;
use tokio_util::sync::CancellationToken;

use self::activity::{Activity, Call, Limits, Overdue};
use crate::connection_slots::{Arriving, Busy, Slot};
use crate::http_server::{Api, Peer};
use crate::listener::secured;
use crate::listener_state::ListenerState;
use crate::shutdown::shutdown_requested;
use crate::slotted::{Accepted, Port, serve_slotted};
use crate::spawn::{SpawnConnection, spawn_until};
use crate::tls::Tls;

/// Concurrent requests of one connection. A wallet has one stream and a few calls; a gRPC library waits with further
/// ones until one has ended.
const STREAMS: u32 = 32;
/// Largest size of the headers of a request, as on the HTTP port.
const HEADER_BYTES: u32 = 16 << 10;
/// Unread bytes of a request. The requests of BlindBit's clients have some 30 bytes.
const STREAM_WINDOW: u32 = 16 << 10;
/// The same for all requests of a connection.
const CONNECTION_WINDOW: u32 = 64 << 10;
/// Bytes of an answer that are buffered for a client beyond the frame that does not fit.
const SEND_BUFFER: usize = 64 << 10;
/// Interval of pings to the client, so that a connection whose other end is gone is noticed. Proxies and routers drop
/// connections that are silent for a minute or more.
const PING_INTERVAL: Duration = Duration::from_secs(45);
/// A client that does not answer a ping within this time has gone.
const PING_WITHIN: Duration = Duration::from_secs(20);

/// `SETTINGS` without settings, and `GOAWAY` with the code `ENHANCE_YOUR_CALM` (RFC 9113) and a reason, for a client
/// whose address has reached its limit of connections.
const TOO_MANY: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x34\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0btoo many connections from this address: wait";

/// Serves requests until the shutdown: those in progress are answered, idle connections closed.
pub async fn serve_http2<A: Api>(api: A, listener: Listener, listeners: ListenerState) {
    let listeners = Arc::new(listeners);
    let port = Port {
        listener,
        tls: listeners.tls.as_ref().map(Tls::for_http2),
        bounds: listeners.http2_bounds,
        too_many: TOO_MANY,
    };
    let serve = |accepted| requests(api.clone(), Arc::clone(&listeners), accepted);
    serve_slotted(port, &listeners, serve).await;
}

/// One connection.
async fn requests<A: Api>(api: A, listeners: Arc<ListenerState>, accepted: Accepted) {
    let Accepted {
        stream,
        peer,
        tls,
        mut ending,
        slot,
    } = accepted;
    let timeouts = listeners.timeouts;
    let Some(stream) = secured(tls, stream, peer, &mut ending, timeouts.tls_handshake).await else {
        return;
    };
    let activity = Activity::new(Limits {
        first: timeouts.headers,
        idle: timeouts.http2_idle,
        unsent: timeouts.http2_unsent,
    });
    let cut = CancellationToken::new();
    // When this task ends, however that happens, its requests end too.
    let _cut = cut.clone().drop_guard();
    let owner = Owner {
        spawner: Arc::clone(&listeners.spawner),
        cut,
    };
    let (api, current) = (TowerToHyperService::new(api), Mutex::new(Weak::<Busy>::new()));
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&listeners));
        let (call, busy) = (activity.begin(), shared_by_requests(&current, &slot));
        if request.body().is_end_stream() {
            busy.whole();
        }
        let arriving = Arc::clone(&busy);
        let answer = api.call(request.map(|body| Body::new(Arriving { body, busy: arriving })));
        async move {
            let response: Result<Response<Body>, Infallible> = answer.await;
            busy.whole();
            response.map(|response| {
                response.map(|body| Sent {
                    body,
                    call,
                    _busy: busy,
                })
            })
        }
    });
    let conn = builder(owner).serve_connection(TokioIo::new(stream), service);
    let mut conn = pin!(conn);
    let why = tokio::select! {
        // A disconnect of the client is not an error.
        _ = conn.as_mut() => return,
        _ = shutdown_requested(&mut ending) => None,
        why = activity.overdue() => Some(why),
    };
    if let Some(why) = why {
        tracing::debug!(%peer, ?why, "closing an HTTP/2 connection");
        // In the other states the client does not read, or has not even begun.
        if why != Overdue::Idle {
            return;
        }
    }
    conn.as_mut().graceful_shutdown();
    activity.close();
    tokio::select! {
        _ = conn => {}
        _ = activity.overdue() => {}
    }
}

/// The requests of a connection keep its slot together.
fn shared_by_requests(current: &Mutex<Weak<Busy>>, slot: &Slot) -> Arc<Busy> {
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    current.upgrade().unwrap_or_else(|| {
        let busy = Arc::new(slot.request());
        *current = Arc::downgrade(&busy);
        busy
    })
}

fn builder(owner: Owner) -> http2::Builder<Owner> {
    let mut builder = http2::Builder::new(owner);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_WITHIN);
    builder
}

/// Starts the task of each request of a connection.
#[derive(Clone)]
struct Owner {
    spawner: Arc<dyn SpawnConnection>,
    /// Cancelled at the end of the connection.
    cut: CancellationToken,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Owner {
    fn execute(&self, request: F) {
        spawn_until(&*self.spawner, self.cut.clone(), request);
    }
}

/// Body of an answer whose frames are tracked until the system has accepted them.
struct Sent<B> {
    body: B,
    call: Call,
    _busy: Arc<Busy>,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        frame.map_ok(|frame| frame.map_data(|bytes| this.call.track(bytes)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
