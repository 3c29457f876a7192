//! `GET /health`, `/health/live`, `/health/ready`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use sdk_relay_protocol::http::{Live, Ready};

use super::Cx;
use crate::clock::unix_now;
use crate::ops::reports::{self, Condition};

/// 200 with `healthy` or `degraded`, 503 with `critical`.
pub(super) async fn health(State(cx): Cx) -> Response {
    let (condition, health) = reports::health(&cx);
    let status = if condition == Condition::Critical {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(health)).into_response()
}

/// 200 for as long as the process runs: what a supervisor asks before it kills.
pub(super) async fn live() -> Json<Live> {
    Json(Live {
        status: "live".to_owned(),
        timestamp: unix_now(),
    })
}

/// 200 when the relay follows the tip: what a load balancer asks before it sends clients.
pub(super) async fn ready(State(cx): Cx) -> Response {
    let reason = reports::not_ready(&cx);
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
