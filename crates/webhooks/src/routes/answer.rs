//! What the requests have in common.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use hyper::StatusCode;
use sdk_relay_echo::short;
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::http::WebhookChanged;
use tokio::time::timeout;

use crate::endpoint::Endpoint;
use crate::shown::shown;
use crate::webhooks::Webhooks;

/// How long a change may take to be durable. It is made in any case.
const SAVED_WITHIN: Duration = Duration::from_secs(10);

/// The endpoint with the name of a request.
pub(super) fn find(webhooks: &Webhooks, name: Result<Path<String>, PathRejection>) -> Result<Arc<Endpoint>, ApiError> {
    let Path(name) = name?;
    let found = webhooks.0.endpoints.get(&name).map(Arc::clone);
    found.ok_or_else(|| {
        ApiError::not_found(format!(
            "no webhook has the name {}: GET /webhooks lists them",
            short(&name)
        ))
    })
}

/// Wakes the task of an endpoint, and answers once the change with this number is durable.
pub(super) async fn changed(
    webhooks: &Webhooks,
    endpoint: &Endpoint,
    number: u64,
) -> Result<Json<WebhookChanged>, ApiError> {
    endpoint.woken.notify_one();
    if timeout(SAVED_WITHIN, endpoint.positions.saved(number)).await.is_err() {
        return Err(ApiError::unavailable(
            "the change is made, but cannot be written: check the disk of data_dir",
        ));
    }
    Ok(Json(WebhookChanged {
        webhook: shown(endpoint, webhooks.newest()),
        timestamp: unix_now(),
    }))
}

/// 409.
pub(super) fn conflict(detail: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, detail)
}
