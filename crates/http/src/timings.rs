//! `GET /timings`: the way of the newest events through the relay.

use std::sync::Arc;

use axum::extract::State;
use sdk_relay_http_common::Json;
use sdk_relay_protocol::http::Timings;
use sdk_relay_telemetry::Traffic;
use sdk_relay_telemetry::clock::unix_now;

use crate::state::Figures;

/// Returns how long the newest events took from the node to the first client.
///
/// Only events of the log are measured, and only connections without watches: no figure here depends on what clients
/// watch.
#[utoipa::path(
    get,
    path = "/timings",
    operation_id = "getTimings",
    tag = "Metrics",
    security(("readToken" = []), ("adminToken" = [])),
    responses((status = 200, description = "The newest events, and a histogram of all since the start", body = Timings)),
)]
pub(super) async fn timings(State(figures): State<Arc<Figures>>, State(traffic): State<Arc<Traffic>>) -> Json<Timings> {
    let (events, histogram) = figures.timings.snapshot();
    Json(Timings {
        events,
        histogram,
        clients_behind: u64::try_from(traffic.clients_behind.get()).unwrap_or(0),
        timestamp: unix_now(),
    })
}
