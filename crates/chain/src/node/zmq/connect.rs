//! Opens a connection to a publisher, directly or through a SOCKS proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sdk_relay_platform::net::{self, Proxy, ProxyError, Stream};
use tokio_util::task::AbortOnDropHandle;
use zeromq::{Socket as _, SocketEvent, SocketOptions, SubSocket, ZmqError};

use super::frame::Topic;

/// Timeout of one connection attempt. The library retries within it, after 50, 100, 200 ms and so on.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of the handshake behind a proxy: two round trips, which take a second each over a slow circuit of Tor.
const PROXIED_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Events = BoxStream<'static, SocketEvent>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Zmq(#[from] ZmqError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("cannot open a local port for ZMQ through the SOCKS proxy: {0}")]
    Forward(std::io::Error),
}

/// A connection, subscribed to all topics.
pub(super) struct Connection {
    pub(super) socket: SubSocket,
    pub(super) events: Events,
    /// Ends with the connection.
    _forward: Option<AbortOnDropHandle<()>>,
}

/// Connects once. The library's own reconnection is not used: it waits up to 30 s between attempts and does not report
/// failed ones.
pub(super) async fn connect(url: &str, proxy: Option<&Proxy>) -> Result<Connection, ConnectError> {
    let (forward, timeout) = match proxy {
        None => (None, CONNECT_TIMEOUT),
        Some(proxy) => (Some(forward(url, proxy).await?), PROXIED_TIMEOUT),
    };
    let mut options = SocketOptions::default();
    options.connect_timeout(timeout);
    let mut socket = SubSocket::with_options(options);
    let events = socket.monitor().boxed();
    for topic in Topic::ALL {
        socket.subscribe(topic.name()).await?;
    }
    match &forward {
        None => socket.connect(url).await?,
        Some((at, _)) => socket.connect(&format!("tcp://{at}")).await?,
    }
    Ok(Connection {
        socket,
        events,
        _forward: forward.map(|(_, task)| task),
    })
}

/// Connects through the proxy, and forwards one connection from a port of this machine, because the library opens its
/// sockets itself. The port is closed as soon as that connection is there. Another program of this machine that
/// connects earlier receives what the node publishes, and the attempt fails.
async fn forward(url: &str, proxy: &Proxy) -> Result<(SocketAddr, AbortOnDropHandle<()>), ConnectError> {
    let target = url.strip_prefix("tcp://").unwrap_or(url);
    let mut far = proxy.connect(target).await?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = net::listen(at, 1).and_then(|socket| socket.attach());
    let listener = listener.map_err(ConnectError::Forward)?;
    let at = listener.local_addr().map_err(ConnectError::Forward)?;
    let task = tokio::spawn(async move {
        let accepted = tokio::time::timeout(PROXIED_TIMEOUT, listener.accept()).await;
        drop(listener);
        match accepted {
            Ok(Ok((near, _))) => copy(near, &mut far).await,
            Ok(Err(error)) => tracing::debug!(%error, "cannot accept the forwarded ZMQ connection"),
            // The library has not connected: its own timeout says so.
            Err(_) => {}
        }
    });
    Ok((at, AbortOnDropHandle::new(task)))
}

/// The end of either connection ends both, which the library notices.
async fn copy(mut near: Stream, far: &mut Stream) {
    if let Err(error) = tokio::io::copy_bidirectional(&mut near, far).await {
        tracing::debug!(%error, "the forwarded ZMQ connection ended");
    }
}
