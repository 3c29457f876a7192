//! The two ports: accepts connections, bounds them, and ends them with the relay.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::context::Context;
use crate::ending::{Ending, ended};
use crate::http::may_read;
use crate::ws::{self, Admission, Arrival, Permit};

/// Within this a request's headers must have come: a client that sends a byte now and then holds a connection no longer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that the headers of a request may have; hyper's least is 8 KiB.
const HEADER_BYTES: usize = 16 << 10;
/// HTTP connections at once. Requests are short; more than these wait in the system's queue.
const HTTP_CONNECTIONS: usize = 1024;
/// After a failed accept (no file descriptors, most likely) the next try waits this long, or the loop would eat the processor.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Streams of `GET /events` at once: each holds an HTTP connection, and the rest of the API must stay reachable.
const EVENT_STREAMS: usize = HTTP_CONNECTIONS / 2;

/// What both ports share: who may come in, who owns the connections, and when it ends.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Long-lived clients, on whichever port.
    pub admission: Arc<Admission>,
    /// Places for streams of `GET /events`.
    pub streams: Arc<Semaphore>,
    /// Tells the relay's end.
    pub ending: Ending,
    /// Owns the connections.
    pub tasks: TaskTracker,
}

impl Doors {
    /// Doors of a relay with these limits.
    pub fn new(config: &Config, ending: Ending, tasks: TaskTracker) -> Self {
        let admission = Admission::new(config.max_connections, config.max_connections_per_address);
        Self {
            admission,
            streams: Arc::new(Semaphore::new(EVENT_STREAMS)),
            ending,
            tasks,
        }
    }
}

/// Serves WebSocket clients until the relay's end.
pub async fn serve_websockets(cx: Arc<Context>, listener: TcpListener, doors: Doors) {
    let Doors {
        admission,
        mut ending,
        tasks,
        ..
    } = doors;
    while let Some((stream, peer)) = accept(&listener, &mut ending).await {
        let permit = admission.admit(peer.ip());
        if permit.is_none() {
            cx.counters.connections_refused.inc();
        }
        tasks.spawn(websocket(Arc::clone(&cx), stream, peer, permit, ending.clone()));
    }
}

/// One connection of the WebSocket port. Without a permit it is upgraded and closed with 1013, so that the client learns why.
async fn websocket(cx: Arc<Context>, stream: TcpStream, peer: SocketAddr, permit: Option<Permit>, ending: Ending) {
    let upgraded: Arc<Mutex<Option<(OnUpgrade, bool)>>> = Arc::default();
    let slot = Arc::clone(&upgraded);
    let config = cx.config();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response: Response<String> = match ws::upgrade(&mut request) {
            Ok((response, on_upgrade)) => {
                let authorized = may_read(&config.auth, request.headers());
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((on_upgrade, authorized));
                response
            }
            Err(refused) => refused.response(),
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let conn = builder()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The header timeout alone would not bound a client that never reads the answer.
    if !matches!(timeout(HEADERS_WITHIN, conn).await, Ok(Ok(()))) {
        return;
    }
    let on_upgrade = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((on_upgrade, authorized)) = on_upgrade else {
        return;
    };
    let Ok(stream) = on_upgrade.await else { return };
    match permit {
        Some(permit) => {
            ws::serve(
                cx,
                TokioIo::new(stream),
                Arrival {
                    peer,
                    permit,
                    authorized,
                },
                ending,
            )
            .await
        }
        None => ws::refuse(TokioIo::new(stream)).await,
    }
}

/// Serves the HTTP API until the relay's end: requests under way are answered, idle connections closed.
pub async fn serve_http(router: Router, listener: TcpListener, doors: Doors) {
    let router = router.layer(axum::Extension(doors.clone()));
    let Doors { mut ending, tasks, .. } = doors;
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Some((stream, peer)) = accept(&listener, &mut ending).await else {
            return;
        };
        let router = router.clone().layer(axum::Extension(Peer(peer)));
        let mut ending = ending.clone();
        tasks.spawn(async move {
            let service = TowerToHyperService::new(router);
            let conn = builder()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut conn = std::pin::pin!(conn);
            tokio::select! {
                // A client that breaks off is its own business.
                _ = conn.as_mut() => {}
                _ = ended(&mut ending) => {
                    conn.as_mut().graceful_shutdown();
                    let _ = conn.await;
                }
            }
            drop(place);
        });
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES);
    builder
}

/// The next connection; `None` at the relay's end.
async fn accept(listener: &TcpListener, ending: &mut Ending) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            _ = ended(ending) => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Notifications are small and urgent: they do not wait for more to fill a segment.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; if this goes on, raise the limit of open files");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}
