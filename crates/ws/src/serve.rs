//! Serves one client: admits it, runs its connection, and closes it.

use std::sync::Arc;

use sdk_relay_protocol::CloseCode;
use sdk_relay_transport::{ClientAddress, FinalWrites, Permit, Shutdown};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument as _;

use crate::connection::{Connection, End};
use crate::handles::Handles;
use crate::socket::Socket;

/// A client that has connected.
#[derive(Debug)]
pub struct Arrival {
    /// Its address.
    pub client: ClientAddress,
    /// Its connection permit; `None` at the limit.
    pub permit: Option<Permit>,
    /// Whether its request carried a token that allows reading, or none is needed.
    pub authorized: bool,
    /// Passes the close frame to the kernel even if the client is not reading.
    pub final_writes: FinalWrites,
}

/// Serves a client on an upgraded stream until either side closes it. `ending` reports the relay's shutdown and its
/// close code. A client without a permit is closed with code 1013.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    handles: Arc<Handles>,
    stream: S,
    arrival: Arrival,
    ending: Shutdown,
) {
    let Arrival {
        client,
        permit,
        authorized,
        final_writes,
    } = arrival;
    let Some(permit) = permit else {
        handles.traffic.connections_refused.inc();
        return refuse(stream, final_writes, &handles).await;
    };
    let gauge = Gauged::new(&handles);
    let (mut connection, mut socket) = Connection::new(Arc::clone(&handles), stream, client, authorized, ending);
    socket.set_final_writes(final_writes);
    let span = tracing::debug_span!("connection", id = connection.name());
    let end = async {
        tracing::debug!(client = %connection.client, "a client has connected");
        connection.run(&mut socket).await
    };
    let end = end.instrument(span.clone()).await;
    connection.leave();
    match end {
        End::Gone => span.in_scope(|| tracing::debug!(client = %connection.client, "the connection was lost")),
        End::Close(code, reason) => {
            if code == CloseCode::TryAgain {
                handles.traffic.slow_clients_cut.inc();
            }
            span.in_scope(
                || tracing::debug!(client = %connection.client, code = code.code(), reason, "closing the connection"),
            );
            socket.close(code, &reason).await;
        }
    }
    // Writing the remaining events may take long if the store is busy, so the permit is released before.
    drop((gauge, permit));
    connection.log_remaining().await;
}

/// Closes the connection of a client for which there is no capacity, with the reason.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: S, final_writes: FinalWrites, handles: &Handles) {
    let mut socket = Socket::new(stream, Arc::clone(&handles.input), handles.timeouts);
    socket.set_final_writes(final_writes);
    socket
        .close(
            CloseCode::TryAgain,
            "too many connections: try again later, or at another relay",
        )
        .await;
}

/// Counts the connection in the gauge while it is open.
struct Gauged(Arc<Handles>);

impl Gauged {
    fn new(handles: &Arc<Handles>) -> Self {
        handles.traffic.connections.inc();
        Self(Arc::clone(handles))
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.traffic.connections.dec();
    }
}
