//! `POST /restart`.

use std::sync::Arc;

use axum::extract::State;
use hyper::StatusCode;
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_protocol::http::RestartResponse;
use sdk_relay_service::{DRAIN_WITHIN, Restart, Settings};
use sdk_relay_telemetry::clock::unix_now;

/// Restarts the relay.
///
/// The relay answers first, then closes clients with 1012, reads the configuration again, and serves again in the
/// same process. If the configuration is invalid, it answers 422 and keeps running.
#[utoipa::path(
    post,
    path = "/restart",
    operation_id = "restart",
    tag = "Operation",
    security(("adminToken" = [])),
    responses(
        (status = 200, description = "The relay restarts", body = RestartResponse),
        (status = 422, description = "The configuration is invalid; the relay keeps running"),
    ),
)]
pub(super) async fn restart(
    State(settings): State<Arc<Settings>>,
    State(restart): State<Arc<Restart>>,
) -> Result<Json<RestartResponse>, ApiError> {
    settings
        .reload()
        .map_err(|e| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))?;
    let restart_id = restart.request();
    Ok(Json(RestartResponse {
        status: "restarting".to_owned(),
        timestamp: unix_now(),
        estimated_duration: format!("{}s", DRAIN_WITHIN.as_secs()),
        restart_id,
    }))
}
