//! `GET /health`, `/health/live`, `/health/ready`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use sdk_relay_http_common::Json;
use sdk_relay_protocol::http::{Health, Live, Ready};
use sdk_relay_service::{Condition, Status};
use sdk_relay_telemetry::clock::unix_now;

/// Returns the health of the relay: 200 with `healthy` or `degraded`, 503 with `critical`.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "getHealth",
    tag = "Health",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "`healthy`, or `degraded` with the reasons in `problems`", body = Health),
        (status = 503, description = "`critical`: the relay can serve nothing useful", body = Health),
    ),
)]
pub(super) async fn health(State(status): State<Status>) -> Response {
    let (condition, health) = status.health();
    let status = if condition == Condition::Critical {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(health)).into_response()
}

/// Liveness: 200 while the process runs. For supervisors that restart processes which do not answer.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "getLive",
    tag = "Health",
    responses((status = 200, description = "The process runs", body = Live)),
)]
pub(super) async fn live() -> Json<Live> {
    Json(Live {
        status: "live".to_owned(),
        timestamp: unix_now(),
    })
}

/// Readiness: 200 when the relay follows the tip and knows the mempool. For load balancers.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReady",
    tag = "Health",
    responses(
        (status = 200, description = "The relay follows the tip and knows the mempool", body = Ready),
        (status = 503, description = "Not ready; `reason` says what the relay waits for", body = Ready),
    ),
)]
pub(super) async fn ready(State(status): State<Status>) -> Response {
    let reason = status.not_ready();
    let (status, word) = match reason {
        None => (StatusCode::OK, "ready"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    (
        status,
        Json(Ready {
            status: word.to_owned(),
            reason,
            timestamp: unix_now(),
        }),
    )
        .into_response()
}
