//! The HTTP port: connections, their bounds, and requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sdk_relay_platform::net::Listener;

use crate::connection_slots::{Arriving, Held};
use crate::half_close::HalfClose;
use crate::listener::{broken, secured};
use crate::listener_state::ListenerState;
use crate::shutdown::shutdown_requested;
use crate::slotted::{Accepted, Port, serve_slotted};

/// Largest size of the headers of a request; the minimum of hyper is 8 KiB.
const HEADER_BYTES: usize = 16 << 10;

/// Answer to a client whose address has reached its limit of HTTP connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 45\r\nConnection: close\r\n\r\ntoo many connections from this address: wait\n";

/// Serves the HTTP API until the shutdown: requests in progress are answered, idle connections closed.
pub async fn serve_http<A: Api>(api: A, listener: Listener, listeners: ListenerState) {
    let listeners = Arc::new(listeners);
    let port = Port {
        listener,
        tls: listeners.tls.clone(),
        bounds: listeners.bounds,
        too_many: TOO_MANY,
    };
    let serve = |accepted| requests(api.clone(), Arc::clone(&listeners), accepted);
    serve_slotted(port, &listeners, serve).await;
}

/// One connection of the HTTP port.
async fn requests<A: Api>(api: A, listeners: Arc<ListenerState>, accepted: Accepted) {
    let Accepted {
        stream,
        peer,
        tls,
        mut ending,
        slot,
    } = accepted;
    let final_writes = stream.final_writes();
    let timeouts = listeners.timeouts;
    let Some(stream) = secured(tls, stream, peer, &mut ending, timeouts.tls_handshake).await else {
        return;
    };
    let (stream, finished) = HalfClose::new(stream, slot.connection(), broken);
    let api = TowerToHyperService::new(api);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(final_writes.clone());
        request.extensions_mut().insert(finished.clone());
        request.extensions_mut().insert(Arc::clone(&listeners));
        request.extensions_mut().insert(Arc::clone(&listeners.input));
        let busy = Arc::new(slot.request());
        if request.body().is_end_stream() {
            busy.whole();
        }
        let arriving = Arc::clone(&busy);
        let answer = api.call(request.map(|body| Body::new(Arriving { body, busy: arriving })));
        async move {
            let response = answer.await;
            busy.whole();
            response.map(|response| response.map(|body| Held { body, _busy: busy }))
        }
    });
    let conn = http1_builder(timeouts.headers)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut conn = std::pin::pin!(conn);
    tokio::select! {
        // A disconnect of the client is not an error.
        _ = conn.as_mut() => {}
        _ = shutdown_requested(&mut ending) => {
            conn.as_mut().graceful_shutdown();
            #[expect(clippy::let_underscore_must_use, reason = "a disconnect of the client is not an error")]
            let _ = conn.await;
        }
    }
}

/// The handler of requests. They carry a [`Peer`], the connection's [`FinalWrites`](crate::FinalWrites) and
/// [`PeerFinished`](crate::PeerFinished), and the `Arc<`[`ListenerState`]`>` of their listener as extensions.
pub trait Api:
    tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Api for S where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The TCP peer of a request: the client, or a proxy before it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A server of HTTP/1.1 whose requests have bounded headers, which must come within `headers`.
pub fn http1_builder(headers: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_buf_size(HEADER_BYTES);
    builder
}

#[cfg(test)]
pub(crate) mod tests;
