//! What the WebSocket API adds to the HTTP port: `GET /ws` opens a WebSocket there too, `GET /asyncapi.json` describes
//! the API.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use sdk_relay_http_common::{Access, ApiError, Edge};
use sdk_relay_service::may_read;
use sdk_relay_transport::{ClientAddress, FinalWrites, ListenerState};
use utoipa::OpenApi;

use crate::asyncapi::{self, Document};
use crate::handles::Handles;
use crate::serve::{Arrival, serve};
use crate::upgrade;

#[derive(OpenApi)]
#[openapi(paths(open, asyncapi::asyncapi))]
struct Described;

/// The routes. None requires a token: the handshake does.
pub fn edge(handles: &Arc<Handles>) -> Edge {
    let described = Router::new()
        .route("/asyncapi.json", get(asyncapi::asyncapi))
        .layer(Extension(Document::of(handles.settings.started_with())));
    Edge {
        routes: Router::new()
            .route("/ws", get(open))
            .merge(described)
            .with_state(Arc::clone(handles)),
        access: Access::Open,
        any_page_posts: &[],
        description: Described::openapi(),
        rate_limiter: None,
    }
}

/// Opens a WebSocket: the API of `/asyncapi.json`.
///
/// The same as on the WebSocket port. Beyond the limit of connections, the relay closes it with 1013, as there.
#[utoipa::path(
    get,
    path = "/ws",
    operation_id = "openWebSocket",
    tag = "Events",
    params(
        ("Upgrade" = String, Header, description = "`websocket`", pattern = "^websocket$", example = "websocket"),
        ("Connection" = String, Header, description = "`Upgrade`", pattern = "^Upgrade$", example = "Upgrade"),
        ("Sec-WebSocket-Version" = String, Header, description = "`13`", pattern = "^13$", example = "13"),
        ("Sec-WebSocket-Key" = String, Header, description = "16 random bytes in base64", pattern = "^[A-Za-z0-9+/]{21}[AQgw]==$", example = "dGhlIHNhbXBsZSBub25jZQ=="),
    ),
    responses(
        (status = 101, description = "The connection is now a WebSocket"),
        (status = 400, description = "`Sec-WebSocket-Key` is missing or wrong", body = String, content_type = "text/plain"),
        (status = 403, description = "`Host` is not a name of this relay (`http.hosts`)", body = String, content_type = "text/plain"),
        (status = 503, description = "Too many connections are being refused already"),
        (status = 426, description = "The request is not a WebSocket upgrade, or requests another version than 13", body = String, content_type = "text/plain"),
    ),
)]
async fn open(
    State(handles): State<Arc<Handles>>,
    Extension(listeners): Extension<Arc<ListenerState>>,
    Extension(client): Extension<ClientAddress>,
    Extension(final_writes): Extension<FinalWrites>,
    mut request: Request,
) -> Response {
    let authorized = may_read(&handles.settings.now().auth, request.headers());
    let permit = listeners.admission.admit(client.ip());
    let Ok(refusal) = listeners.refusals.unless_admitted(permit.as_ref()) else {
        handles.traffic.connections_refused.inc();
        return ApiError::unavailable("too many connections: try again later, or at another relay").into_response();
    };
    let (response, upgraded) = match upgrade::open::<Body, Body>(&mut request, &handles.settings.now()) {
        Ok(opened) => opened,
        Err(refused) => return refused.response(),
    };
    let arrival = Arrival {
        client,
        permit,
        authorized,
        final_writes,
    };
    let ending = listeners.ending.clone();
    let connection = async move {
        let _refusal = refusal;
        if let Ok(stream) = upgraded.await {
            serve(handles, TokioIo::new(stream), arrival, ending).await;
        }
    };
    listeners.spawner.spawn(Box::pin(connection));
    response
}
