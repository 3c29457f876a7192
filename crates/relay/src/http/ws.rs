//! `GET /ws`: the WebSocket API on this port too.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper_util::rt::TokioIo;

use super::Cx;
use super::access::may_read;
use crate::server::{Doors, Peer};
use crate::ws::{self, Arrival};

/// Opens a WebSocket. Without a place for it, it is closed with 1013, as on the other port.
pub(super) async fn open(
    State(cx): Cx,
    Extension(doors): Extension<Doors>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
) -> Response {
    let authorized = may_read(&cx.config().auth, request.headers());
    let (response, upgraded) = match ws::upgrade::<Body, Body>(&mut request) {
        Ok(opened) => opened,
        Err(refused) => return refused.response(),
    };
    let permit = doors.admission.admit(peer.ip());
    if permit.is_none() {
        cx.counters.connections_refused.inc();
    }
    let ending = doors.ending.clone();
    doors.tasks.spawn(async move {
        let Ok(stream) = upgraded.await else { return };
        match permit {
            Some(permit) => {
                ws::serve(
                    cx,
                    TokioIo::new(stream),
                    Arrival {
                        peer,
                        permit,
                        authorized,
                    },
                    ending,
                )
                .await
            }
            None => ws::refuse(TokioIo::new(stream)).await,
        }
    });
    response
}
