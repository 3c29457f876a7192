//! The ports: each connection is served by a task of its own.

use std::sync::Arc;

use sdk_relay_platform::net::Listener;
use sdk_relay_transport::{ListenerState, Tls, accept, secured};

use crate::connection::{Arrival, close, serve};
use crate::error::RpcError;
use crate::handles::Handles;
use crate::lines::Lines;

/// Serves clients of one port until the relay shuts down. `tls`: `None` on the port without TLS.
pub async fn serve_electrum(handles: Arc<Handles>, listener: Listener, tls: Option<Tls>, listeners: ListenerState) {
    let ListenerState {
        admission,
        refusals,
        mut ending,
        spawner,
        timeouts,
        ..
    } = listeners;
    while let Some((stream, peer)) = accept(&listener, &mut ending, timeouts.write).await {
        let permit = admission.admit(peer.ip());
        let Ok(refusal) = refusals.unless_admitted(permit.as_ref()) else {
            handles.traffic.connections_refused.inc();
            continue;
        };
        let (handles, tls, mut ending) = (Arc::clone(&handles), tls.clone(), ending.clone());
        let owner = Arc::clone(&spawner);
        let connection = async move {
            let _refusal = refusal;
            let final_writes = stream.final_writes();
            let takes_keys =
                tls.is_some() || peer.ip().is_loopback() || handles.settings.now().electrum.allow_plaintext;
            let Some(stream) = secured(tls, stream, peer, &mut ending, timeouts.tls_handshake).await else {
                return;
            };
            let Some(_permit) = permit else {
                handles.traffic.connections_refused.inc();
                let error = RpcError::unavailable(
                    "too many connections, of this address or in all (limits.connections_per_address, limits.connections): try again later",
                );
                let lines = Lines::new(stream, Arc::clone(&handles.input));
                return close(lines, final_writes, error, handles.timeouts.close).await;
            };
            let arrival = Arrival {
                client: peer.ip(),
                takes_keys,
                final_writes,
                spawner: owner,
            };
            serve(handles, stream, arrival, ending).await;
        };
        spawner.spawn(Box::pin(connection));
    }
}
