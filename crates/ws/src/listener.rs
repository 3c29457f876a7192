//! The WebSocket port: each connection is upgraded, and served by a task of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sdk_relay_platform::net::Listener;
use sdk_relay_service::{Settings, may_read};
use sdk_relay_telemetry::Traffic;
use sdk_relay_transport::{
    ClientAddress, FinalWrites, ListenerState, PendingPermit, Shutdown, accept, http1_builder, secured,
    shutdown_requested,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::serve::{Arrival, serve};
use super::upgrade::open;
use crate::handles::Handles;

/// The stream of a client after the upgrade.
type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// What an upgrade needs, and who serves the client after it.
struct Upgrades<S> {
    settings: Arc<Settings>,
    traffic: Arc<Traffic>,
    serve: S,
}

/// Serves WebSocket clients until the relay shuts down.
pub async fn serve_websockets(handles: Arc<Handles>, listener: Listener, listeners: ListenerState) {
    let upgrades = Upgrades {
        settings: Arc::clone(&handles.settings),
        traffic: Arc::clone(&handles.traffic),
        serve: move |stream, arrival, ending| serve(Arc::clone(&handles), stream, arrival, ending),
    };
    upgrade_clients(upgrades, listener, listeners).await;
}

/// Accepts and upgrades clients until the relay shuts down.
async fn upgrade_clients<S, F>(upgrades: Upgrades<S>, listener: Listener, listeners: ListenerState)
where
    S: Fn(Upgraded, Arrival, Shutdown) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let upgrades = Arc::new(upgrades);
    let ListenerState {
        admission,
        tls,
        refusals,
        mut ending,
        spawner,
        timeouts,
        ..
    } = listeners;
    while let Some((stream, peer)) = accept(&listener, &mut ending, timeouts.write).await {
        let shares_an_address = upgrades.settings.now().trusted_proxies.contains(peer.ip());
        let pending = admission.reserve((!shares_an_address).then(|| peer.ip()));
        let Ok(refusal) = refusals.unless_admitted(pending.as_ref()) else {
            upgrades.traffic.connections_refused.inc();
            continue;
        };
        let (upgrades, tls, mut ending) = (Arc::clone(&upgrades), tls.clone(), ending.clone());
        let connection = async move {
            let _refusal = refusal;
            let final_writes = stream.final_writes();
            let Some(stream) = secured(tls, stream, peer, &mut ending, timeouts.tls_handshake).await else {
                return;
            };
            let connection = (peer, final_writes, timeouts.headers);
            websocket(upgrades, stream, connection, pending, ending).await;
        };
        spawner.spawn(Box::pin(connection));
    }
}

/// One connection of the WebSocket port. Without a permit it is still upgraded, so that the close frame can carry the
/// reason. The owner of the permit is known only from the request, where a trusted proxy names its client.
async fn websocket<S, F, T>(
    upgrades: Arc<Upgrades<S>>,
    stream: T,
    (peer, final_writes, headers): (SocketAddr, FinalWrites, Duration),
    pending: Option<PendingPermit>,
    mut ending: Shutdown,
) where
    S: Fn(Upgraded, Arrival, Shutdown) -> F,
    F: Future<Output = ()>,
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let upgraded: Arc<Mutex<Option<(OnUpgrade, ClientAddress, bool)>>> = Arc::default();
    let slot = Arc::clone(&upgraded);
    let config = upgrades.settings.now();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response: Response<String> = match open(&mut request, &config) {
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
    let conn = http1_builder(headers)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // The header timeout alone does not bound a client that never reads the answer.
    let opened = tokio::select! {
        opened = timeout(headers, conn) => matches!(opened, Ok(Ok(()))),
        // The shutdown does not wait for clients that have not sent a request yet.
        _ = shutdown_requested(&mut ending) => false,
    };
    if !opened {
        return;
    }
    let on_upgrade = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((on_upgrade, client, authorized)) = on_upgrade else {
        return;
    };
    // Who gets no permit keeps its pending for as long as the refusal takes: it is counted too.
    let (permit, _seat) = match pending.map(|pending| pending.admit(client.ip())) {
        Some(Ok(permit)) => (Some(permit), None),
        Some(Err(pending)) => (None, Some(pending)),
        None => (None, None),
    };
    let Ok(stream) = on_upgrade.await else { return };
    let arrival = Arrival {
        client,
        permit,
        authorized,
        final_writes,
    };
    (upgrades.serve)(TokioIo::new(stream), arrival, ending).await;
}

#[cfg(test)]
mod tests;
