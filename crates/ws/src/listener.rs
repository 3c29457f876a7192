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
use sdk_relay_service::may_read;
use sdk_relay_transport::{
    ClientAddress, FinalWrites, ListenerState, PendingPermit, Shutdown, accept, http1_builder, secured,
    shutdown_requested,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::serve::{Arrival, serve};
use super::upgrade::open;
use crate::handles::Handles;

/// Serves WebSocket clients until the relay shuts down.
pub async fn serve_websockets(handles: Arc<Handles>, listener: Listener, listeners: ListenerState) {
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
        let shares_an_address = handles.settings.now().trusted_proxies.contains(peer.ip());
        let pending = admission.reserve((!shares_an_address).then(|| peer.ip()));
        let refusal = match &pending {
            Some(_) => None,
            // It is closed without a reason: sending one takes a descriptor and a task, which are bounded too.
            None => match Arc::clone(&refusals).try_acquire_owned() {
                Ok(refusal) => Some(refusal),
                Err(_) => {
                    handles.traffic.connections_refused.inc();
                    continue;
                }
            },
        };
        let (handles, tls, mut ending) = (Arc::clone(&handles), tls.clone(), ending.clone());
        let connection = async move {
            let _refusal = refusal;
            let final_writes = stream.final_writes();
            let Some(stream) = secured(tls, stream, peer, &mut ending, timeouts.tls_handshake).await else {
                return;
            };
            let connection = (peer, final_writes, timeouts.headers);
            websocket(handles, stream, connection, pending, ending).await;
        };
        spawner.spawn(Box::pin(connection));
    }
}

/// One connection of the WebSocket port. Without a permit it is still upgraded, so that the close frame can carry the
/// reason. The owner of the permit is known only from the request, where a trusted proxy names its client.
async fn websocket<S>(
    handles: Arc<Handles>,
    stream: S,
    (peer, final_writes, headers): (SocketAddr, FinalWrites, Duration),
    pending: Option<PendingPermit>,
    mut ending: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let upgraded: Arc<Mutex<Option<(OnUpgrade, ClientAddress, bool)>>> = Arc::default();
    let slot = Arc::clone(&upgraded);
    let config = handles.settings.now();
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
    serve(handles, TokioIo::new(stream), arrival, ending).await;
}
