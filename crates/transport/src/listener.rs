//! Accepting connections, and the handshake of TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::shutdown::{Shutdown, shutdown_requested};
use crate::tls::Tls;
use crate::write_timeout::WriteTimeout;

/// Within this the handshake of TLS must be through, as long as headers may take.
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a connection that the system may hold without having sent them. Left to itself Linux takes up to 4 MB for
/// each client that does not read; what is on its way to a client that does read is not bounded by this.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;
/// Bytes that it may hold of a connection's last words: as much as Linux allows by default (`net.core.wmem_max`), and
/// it doubles it for its own use. It has what is unsent already, half a message at most, and the close frame.
#[cfg(target_os = "linux")]
const LAST_WORDS: usize = 208 << 10;
/// After a failed accept (no file descriptors, most likely) the next try waits this long, or the loop would eat the
/// processor.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Connections that the system holds until they are accepted: as many as it allows (`net.core.somaxconn`). The SYN of a
/// client beyond them is dropped, and sent again after a second.
const BACKLOG: u32 = i32::MAX.unsigned_abs();

/// A connection as it was accepted.
pub type Stream = WriteTimeout<TcpStream>;
/// A connection with TLS, where it is configured.
pub type Secured = Either<Stream, TlsStream<Stream>>;

/// Why a connection broke, where it has.
pub(crate) fn broken(stream: &Secured) -> Option<io::Error> {
    let stream = match stream {
        Either::Left(stream) => stream,
        Either::Right(tls) => tls.get_ref().0,
    };
    stream.get_ref().take_error().unwrap_or_else(Some)
}

/// Listens on a port.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bound(address)?.listen(BACKLOG)
}

/// Whether this machine lets the process have an address, as far as can be known while another relay may listen there.
pub fn may_listen(address: SocketAddr) -> io::Result<()> {
    match bound(address) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Connections of an earlier process in TIME_WAIT keep nobody out. On Windows it would let another process take the
    // port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The next connection; `None` at the relay's end.
pub async fn accept(listener: &TcpListener, ending: &mut Shutdown) -> Option<(Stream, SocketAddr)> {
    let mut is_logged = false;
    loop {
        let accepted = tokio::select! {
            _ = shutdown_requested(ending) => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Notifications are small and urgent: they do not wait for more to fill a segment.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "cannot set TCP_NODELAY: the system may delay small messages to this client");
                }
                // Elsewhere the system's own bound holds.
                #[cfg(target_os = "linux")]
                if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT) {
                    tracing::debug!(%peer, %error, "cannot set the send buffer of this client; using the default of the system");
                }
                return Some((WriteTimeout::new(stream, make_room), peer));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(%error, "cannot accept a connection; if this happens often, raise the limit of open files");
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Has the system take what is written last, although the peer has not taken what was written before. Best effort:
/// without it the peer finds the connection ended, and no reason.
#[cfg(target_os = "linux")]
fn make_room(stream: &TcpStream) {
    let socket = SockRef::from(stream);
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
fn make_room(_: &TcpStream) {}

/// Shakes hands, where TLS is on. `None`: the client did not do so, or not in time. That is the business of clients
/// (scanners, and browsers with `http://` among them), and nothing that an operator could do anything about: it stays
/// out of the log.
pub async fn secured(tls: Option<Tls>, stream: Stream, peer: SocketAddr, ending: &mut Shutdown) -> Option<Secured> {
    let Some(tls) = tls else {
        return Some(Either::Left(stream));
    };
    tokio::select! {
        _ = shutdown_requested(ending) => None,
        shaken = timeout(TLS_WITHIN, tls.accept(stream)) => match shaken {
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
