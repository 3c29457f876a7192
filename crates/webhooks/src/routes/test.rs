//! `POST /webhooks/{name}/test`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::http::WebhookTest;
use tokio::time::Instant;

use super::answer::{conflict, find};
use crate::message::Message;
use crate::webhooks::Webhooks;

/// Posts a message of type `test` to a webhook, and answers with what came of it.
///
/// One attempt, at once, also to a webhook that is disabled. It changes nothing about the events that wait.
#[utoipa::path(
    post,
    path = "/webhooks/{name}/test",
    operation_id = "testWebhook",
    tag = "Webhooks",
    security(("adminToken" = [])),
    params(("name" = String, Path, description = "Name in the configuration", min_length = 1, example = "shop")),
    responses(
        (status = 200, description = "Whether it was delivered, and the answer of the endpoint", body = WebhookTest),
        (status = 400, description = "The path is not UTF-8"),
        (status = 404, description = "No webhook has this name"),
        (status = 409, description = "Another test of this webhook has not ended yet"),
    ),
)]
pub(super) async fn test(
    State(webhooks): State<Webhooks>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<WebhookTest>, ApiError> {
    let endpoint = find(&webhooks, name)?;
    let Ok(_turn) = endpoint.testing.try_acquire() else {
        return Err(conflict("another test of this webhook has not ended yet"));
    };
    let message = Message::test(endpoint.name()).map_err(|_| ApiError::internal())?;
    let began = Instant::now();
    let outcome = endpoint.post.post(&message).await;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, error) = match outcome {
        Ok(status) => (Some(status), None),
        Err(failure) => (failure.status(), Some(failure.to_string())),
    };
    Ok(Json(WebhookTest {
        delivered: error.is_none(),
        webhook_id: message.id,
        status: status.map(|status| status.as_u16()),
        error,
        duration_ms,
        timestamp: unix_now(),
    }))
}
