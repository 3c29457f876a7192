//! The accept loop of the ports whose connections have slots: HTTP/1.1 and HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;

use sdk_relay_platform::net::Listener;

use crate::connection_slots::{Bounds, ConnectionSlots, NoSlot, Slot};
use crate::listener::{Stream, accept};
use crate::listener_state::ListenerState;
use crate::shutdown::{Shutdown, shutdown_requested};
use crate::tls::Tls;

/// A port, and the limits of its connections.
pub(crate) struct Port {
    pub(crate) listener: Listener,
    pub(crate) tls: Option<Tls>,
    pub(crate) bounds: Bounds,
    /// Answer to a client whose address has reached its limit of connections; sent on a port without TLS only.
    pub(crate) too_many: &'static [u8],
}

/// A connection that has a slot.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: Option<Tls>,
    pub(crate) ending: Shutdown,
    pub(crate) slot: Arc<Slot>,
}

/// Serves connections until the shutdown, each as a task of its own, which ends when its slot is evicted.
pub(crate) async fn serve_slotted<F>(port: Port, listeners: &ListenerState, serve: impl Fn(Accepted) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut ending = listeners.ending.clone();
    let slots = ConnectionSlots::new(port.bounds);
    while let Some((mut stream, peer)) = accept(&port.listener, &mut ending, listeners.timeouts.write).await {
        let slot = tokio::select! {
            _ = shutdown_requested(&mut ending) => return,
            slot = slots.take(peer.ip(), listeners.trusted.contains(peer.ip())) => slot,
        };
        let slot = match slot {
            Ok(slot) => Arc::new(slot),
            Err(NoSlot::Address) => {
                if port.tls.is_none() {
                    refuse(&mut stream, port.too_many);
                }
                continue;
            }
            Err(NoSlot::Closed) => return,
        };
        let served = serve(Accepted {
            stream,
            peer,
            tls: port.tls.clone(),
            ending: ending.clone(),
            slot: Arc::clone(&slot),
        });
        let connection = async move {
            slot.served();
            tokio::select! {
                () = slot.evicted() => {}
                () = served => {}
            }
        };
        listeners.spawner.spawn(Box::pin(connection));
    }
}

/// Sends the reason of a refusal, if the system accepts it immediately: never waits for the client.
fn refuse(stream: &mut Stream, too_many: &[u8]) {
    if let Err(error) = stream.get_mut().try_write(too_many) {
        tracing::trace!(%error, "cannot send the reason to a refused client");
    }
}
