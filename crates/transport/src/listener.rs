//! Accepting connections, and the handshake of TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sdk_relay_platform::net;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::shutdown::{Shutdown, shutdown_requested};
use crate::tls::Tls;
use crate::write_timeout::WriteTimeout;

/// Size of the send buffer of a connection. By default Linux buffers up to 4 MB for each client that does not read;
/// bytes in flight to a client that reads are not bounded by this.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;
/// Size of the send buffer for final writes: the default maximum of Linux (`net.core.wmem_max`), which doubles it for
/// its own use. It holds the unsent bytes, half a message at most, and the close frame.
#[cfg(target_os = "linux")]
const LAST_WORDS: usize = 208 << 10;
/// Delay after a failed accept (usually no file descriptors), to avoid a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Backlog of connections until they are accepted: the maximum of the system (`net.core.somaxconn`). The SYN of a
/// client beyond it is dropped, and resent after a second.
const BACKLOG: u32 = i32::MAX.unsigned_abs();

/// An accepted connection.
pub type Stream = WriteTimeout<net::Stream>;
/// A connection, with TLS if configured.
pub type Secured = Either<Stream, TlsStream<Stream>>;

/// The error of a broken connection.
pub(crate) fn broken(stream: &Secured) -> Option<io::Error> {
    let stream = match stream {
        Either::Left(stream) => stream,
        Either::Right(tls) => tls.get_ref().0,
    };
    stream.get_ref().take_error().unwrap_or_else(Some)
}

/// Listens on a port.
pub fn listen(address: SocketAddr) -> io::Result<net::ListeningSocket> {
    net::listen(address, BACKLOG)
}

/// The address of a client, as IPv4 where a port of both families gives it as IPv4-mapped IPv6 (`::ffff:192.0.2.1`): in
/// logs, answers and limits it is the same address as on a port of IPv4 alone.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// The next connection, with this write timeout; `None` at the shutdown.
pub async fn accept(listener: &net::Listener, ending: &mut Shutdown, write: Duration) -> Option<(Stream, SocketAddr)> {
    let mut is_logged = false;
    loop {
        let accepted = tokio::select! {
            _ = shutdown_requested(ending) => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = canonical(peer);
                // Notifications are small and urgent: disable Nagle's algorithm.
                if let Err(error) = stream.set_nodelay() {
                    tracing::debug!(%peer, %error, "cannot set TCP_NODELAY: the system may delay small messages to this client");
                }
                // Elsewhere the default of the system applies.
                #[cfg(target_os = "linux")]
                if let Some(socket) = stream.socket()
                    && let Err(error) = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT)
                {
                    tracing::debug!(%peer, %error, "cannot set the send buffer of this client; using the default of the system");
                }
                return Some((WriteTimeout::new(stream, write, grow_send_buffer), peer));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(%error, "cannot accept a connection; if this happens often, raise the limit of open files");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Makes the system accept the final writes, although the peer has not read the earlier ones. Best effort: without it
/// the peer sees the connection end without a reason.
#[cfg(target_os = "linux")]
fn grow_send_buffer(stream: &net::Stream) {
    let Some(socket) = stream.socket() else { return };
    let socket = SockRef::from(socket);
    let raised = socket.set_tcp_notsent_lowat(u32::MAX).and_then(|()| {
        let is_small = socket.send_buffer_size()? < 2 * LAST_WORDS;
        if is_small {
            socket.set_send_buffer_size(LAST_WORDS)
        } else {
            Ok(())
        }
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "a client that does not read may not learn why it is closed");
    }
}

#[cfg(not(target_os = "linux"))]
fn grow_send_buffer(_: &net::Stream) {}

/// Performs the TLS handshake, if TLS is configured. `None` if it failed, or timed out. Not logged above `debug`: it is
/// caused by clients (scanners, browsers with `http://`), and the operator cannot fix it.
pub async fn secured(
    tls: Option<Tls>,
    stream: Stream,
    peer: SocketAddr,
    ending: &mut Shutdown,
    within: Duration,
) -> Option<Secured> {
    let Some(tls) = tls else {
        return Some(Either::Left(stream));
    };
    tokio::select! {
        _ = shutdown_requested(ending) => None,
        shaken = timeout(within, tls.accept(stream)) => match shaken {
            Ok(Ok(stream)) => Some(Either::Right(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "TLS handshake not complete in time");
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port of both families, as `[::]:8090` opens it.
    #[tokio::test]
    async fn a_client_over_ipv4_has_an_ipv4_address() {
        let Ok(listening) = listen("[::]:0".parse().unwrap()) else {
            // A machine without IPv6 has no such addresses.
            return;
        };
        let listener = listening.attach().unwrap();
        let port = listener.local_addr().unwrap().port();
        let (_sender, mut ending) = tokio::sync::watch::channel(None);
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_stream, peer) = accept(&listener, &mut ending, Duration::from_secs(1)).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(peer.is_ipv4());
    }

    #[test]
    fn an_ipv6_address_is_kept() {
        let peer = "[2001:db8::1]:7".parse().unwrap();
        assert_eq!(canonical(peer), peer);
    }
}
