//! The two ports: accepts connections, bounds them, and ends them with the relay.

mod patience;
mod places;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sdk_relay_config::{Config, TrustedProxies};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::client_address::ClientAddress;
use crate::context::Context;
use crate::ending::{Ending, ended};
use crate::http::may_read;
use crate::input::InputBudget;
use crate::open_files::Shares;
use crate::supervisor::Supervisor;
use crate::tls::Tls;
use crate::ws::{self, Admission, Arrival, Seat};
use patience::Patience;
use places::{Arriving, Bounds, Held, NoPlace, Place, Places};

/// Within this a request's headers must have come: a client that sends a byte now and then holds a connection no longer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that the headers of a request may have; hyper's least is 8 KiB.
const HEADER_BYTES: usize = 16 << 10;
/// Within this the handshake of TLS must be through, as long as headers may take.
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// HTTP connections at once. Requests are short; beyond these the longest idle one makes way, and where none is idle a new one waits.
pub const HTTP_CONNECTIONS: usize = 1024;
/// WebSocket connections that are being refused at once, so that their clients learn why; beyond these a connection is closed without a word.
pub const REFUSALS: usize = 64;
/// What a client reads whose address has as many HTTP connections as it may.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 45\r\nConnection: close\r\n\r\ntoo many connections from this address: wait\n";
/// Bytes of a connection that the system may hold without having sent them. Left to itself Linux takes up to 4 MB for each client that does
/// not read; what is on its way to a client that does read is not bounded by this.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;
/// After a failed accept (no file descriptors, most likely) the next try waits this long, or the loop would eat the processor.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What both ports share: who may come in, who owns the connections, and when it ends.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Long-lived clients, on whichever port.
    pub admission: Arc<Admission>,
    /// Speaks TLS on both ports, where it is configured.
    pub tls: Option<Tls>,
    /// Places for streams of `GET /events`: half of the HTTP connections, so that the rest of the API stays reachable.
    pub streams: Arc<Semaphore>,
    /// Places for WebSocket connections that are refused with a reason.
    pub refusals: Arc<Semaphore>,
    /// Bounds of the HTTP port.
    bounds: Bounds,
    /// Peers whose address is that of many clients.
    trusted: TrustedProxies,
    /// Memory for requests whose body is not whole.
    pub input: Arc<InputBudget>,
    /// Tells the relay's end.
    pub ending: Ending,
    /// Owns the connections.
    pub supervisor: Supervisor,
}

impl Doors {
    /// Doors of a relay with these limits.
    pub fn new(
        config: &Config,
        input: Arc<InputBudget>,
        tls: Option<Tls>,
        ending: Ending,
        supervisor: Supervisor,
    ) -> Self {
        let shares = Shares::of_this_process(config);
        // Also where few open files leave fewer connections than one address could have: the rest is for the others.
        let most_of_one = shares.http - shares.http / 4;
        Self {
            admission: Admission::new(shares.websockets, config.max_connections_per_address),
            tls,
            streams: Arc::new(Semaphore::new(shares.http.div_ceil(2))),
            refusals: Arc::new(Semaphore::new(shares.refusals)),
            trusted: config.trusted_proxies.clone(),
            bounds: Bounds {
                all: shares.http,
                per_address: config.max_http_connections_per_address.min(most_of_one),
                proxies: most_of_one,
            },
            input,
            ending,
            supervisor,
        }
    }
}

/// Serves WebSocket clients until the relay's end.
pub async fn serve_websockets(cx: Arc<Context>, listener: TcpListener, doors: Doors) {
    let Doors {
        admission,
        tls,
        refusals,
        mut ending,
        supervisor,
        ..
    } = doors;
    while let Some((stream, peer)) = accept(&listener, &mut ending).await {
        let shares_an_address = cx.config().trusted_proxies.contains(peer.ip());
        let seat = admission.arrive((!shares_an_address).then(|| peer.ip()));
        let refusal = match &seat {
            Some(_) => None,
            // It is closed as it is: to say why takes a descriptor and a task, and those are bounded too.
            None => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(refusal) => Some(refusal),
                Err(_) => {
                    cx.counters.connections_refused.inc();
                    continue;
                }
            },
        };
        let (cx, tls, mut ending) = (Arc::clone(&cx), tls.clone(), ending.clone());
        supervisor.connection(async move {
            let _refusal = refusal;
            let Some(stream) = secured(tls, stream, peer, &mut ending).await else {
                return;
            };
            websocket(cx, stream, peer, seat, ending).await;
        });
    }
}

/// One connection of the WebSocket port. Without a permit it is upgraded all the same, so that the client learns why it is closed. Whom the
/// permit is for is known with the request: a trusted proxy names its client there.
async fn websocket<S>(cx: Arc<Context>, stream: S, peer: SocketAddr, seat: Option<Seat>, ending: Ending)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let upgraded: Arc<Mutex<Option<(OnUpgrade, ClientAddress, bool)>>> = Arc::default();
    let slot = Arc::clone(&upgraded);
    let config = cx.config();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response: Response<String> = match ws::open(&mut request, &config) {
            Ok((response, on_upgrade)) => {
                let client = ClientAddress::of(&config.trusted_proxies, peer, request.headers());
                let authorized = may_read(&config.auth, request.headers());
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((on_upgrade, client, authorized));
                response
            }
            Err(refused) => {
                let mut response = refused.response();
                // Nothing else is served on this port.
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let conn = builder()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The header timeout alone would not bound a client that never reads the answer.
    if !matches!(timeout(HEADERS_WITHIN, conn).await, Ok(Ok(()))) {
        return;
    }
    let on_upgrade = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((on_upgrade, client, authorized)) = on_upgrade else {
        return;
    };
    // Who gets no permit keeps its seat for as long as the refusal takes: it is counted too.
    let (permit, _seat) = match seat.map(|seat| seat.admit(client.ip())) {
        Some(Ok(permit)) => (Some(permit), None),
        Some(Err(seat)) => (None, Some(seat)),
        None => (None, None),
    };
    let Ok(stream) = on_upgrade.await else { return };
    let arrival = Arrival {
        client,
        permit,
        authorized,
    };
    ws::serve(cx, TokioIo::new(stream), arrival, ending).await;
}

/// Serves the HTTP API until the relay's end: requests under way are answered, idle connections closed.
pub async fn serve_http<A: Api>(api: A, listener: TcpListener, doors: Doors) {
    let doors = Arc::new(doors);
    let (tls, mut ending, supervisor) = (doors.tls.clone(), doors.ending.clone(), doors.supervisor.clone());
    let places = Places::new(doors.bounds);
    let trusted = doors.trusted.clone();
    while let Some((stream, peer)) = accept(&listener, &mut ending).await {
        let place = tokio::select! {
            _ = ended(&mut ending) => return,
            place = places.take(peer.ip(), trusted.contains(peer.ip())) => place,
        };
        let place = match place {
            Ok(place) => place,
            Err(NoPlace::Address) => {
                refuse(&stream, tls.is_some());
                continue;
            }
            Err(NoPlace::Closed) => return,
        };
        let (api, doors) = (api.clone(), Arc::clone(&doors));
        let (tls, mut ending) = (tls.clone(), ending.clone());
        supervisor.connection(async move {
            tokio::select! {
                () = place.wanted() => {}
                () = requests(api, doors, tls, stream, peer, &mut ending, &place) => {}
            }
        });
    }
}

/// Says why a connection is closed, as far as that can be said at once: nothing waits for this client.
fn refuse(stream: &Stream, has_tls: bool) {
    if !has_tls && let Err(error) = stream.get_ref().try_write(TOO_MANY) {
        tracing::trace!(%error, "a refused client does not learn why");
    }
}

/// One connection of the HTTP port.
async fn requests<A: Api>(
    api: A,
    doors: Arc<Doors>,
    tls: Option<Tls>,
    stream: Stream,
    peer: SocketAddr,
    ending: &mut Ending,
    place: &Place,
) {
    let Some(stream) = secured(tls, stream, peer, ending).await else {
        return;
    };
    let api = TowerToHyperService::new(api);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&doors));
        request.extensions_mut().insert(Arc::clone(&doors.input));
        let busy = Arc::new(place.request());
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
    let conn = builder()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut conn = std::pin::pin!(conn);
    tokio::select! {
        // A client that breaks off is its own business.
        _ = conn.as_mut() => {}
        _ = ended(ending) => {
            conn.as_mut().graceful_shutdown();
            #[expect(clippy::let_underscore_must_use, reason = "a client that breaks off is its own business")]
            let _ = conn.await;
        }
    }
}

/// Shakes hands, where TLS is on. `None`: the client did not do so, or not in time. That is the business of clients (scanners, and browsers
/// with `http://` among them), and nothing that an operator could do anything about: it stays out of the log.
async fn secured(tls: Option<Tls>, stream: Stream, peer: SocketAddr, ending: &mut Ending) -> Option<Secured> {
    let Some(tls) = tls else {
        return Some(Either::Left(stream));
    };
    tokio::select! {
        _ = ended(ending) => None,
        shaken = timeout(TLS_WITHIN, tls.accept(stream)) => match shaken {
            Ok(Ok(stream)) => Some(Either::Right(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no TLS handshake");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "no TLS handshake in time");
                None
            }
        },
    }
}

/// What answers requests. They carry a [`Peer`] and the `Arc<`[`Doors`]`>` that they came through as extensions.
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

type Stream = Patience<TcpStream>;
type Secured = Either<Stream, TlsStream<Stream>>;

/// The TCP peer of a request: the client, or a proxy before it.
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
async fn accept(listener: &TcpListener, ending: &mut Ending) -> Option<(Stream, SocketAddr)> {
    let mut told = false;
    loop {
        let accepted = tokio::select! {
            _ = ended(ending) => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Notifications are small and urgent: they do not wait for more to fill a segment.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "small messages to this client may be delayed by the system");
                }
                // Elsewhere the system's own bound holds.
                #[cfg(target_os = "linux")]
                if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT) {
                    tracing::debug!(%peer, %error, "the system bounds what it holds unsent for this client by itself");
                }
                return Some((Patience::new(stream), peer));
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "no connection can be accepted now; if this comes often, raise the limit of open files");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}
