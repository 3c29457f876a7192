//! `POST /webhooks/{name}/enable`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_protocol::http::{EnableRequest, WebhookChanged};

use super::answer::{changed, find};
use crate::positions::Position;
use crate::webhooks::Webhooks;

/// Enables a webhook that is disabled, and tries again at once.
///
/// It continues where it stopped, or after `after_event`, for an event that its endpoint will never accept. Its own
/// position as `after_event` skips a message of type `gap` that waits there.
#[utoipa::path(
    post,
    path = "/webhooks/{name}/enable",
    operation_id = "enableWebhook",
    tag = "Webhooks",
    security(("adminToken" = [])),
    params(("name" = String, Path, description = "Name in the configuration", min_length = 1, example = "shop")),
    request_body = Option<EnableRequest>,
    responses(
        (status = 200, description = "The webhook, which is enabled", body = WebhookChanged),
        (status = 404, description = "No webhook has this name"),
        (status = 422, description = "`after_event` is below the position of the webhook, or above the newest event"),
    ),
)]
pub(super) async fn enable(
    State(webhooks): State<Webhooks>,
    name: Result<Path<String>, PathRejection>,
    body: Option<Body<EnableRequest>>,
) -> Result<Json<WebhookChanged>, ApiError> {
    let endpoint = find(&webhooks, name)?;
    let EnableRequest { after_event } = body.map_or_else(EnableRequest::default, |Body(request)| request);
    let newest = webhooks.newest();
    let mut before = 0;
    let number = endpoint.try_change(|position| {
        before = position.after;
        apply(position, after_event, newest)
    })?;
    endpoint.status().reset_new();
    if let Some(after) = after_event {
        tracing::warn!(
            webhook = endpoint.name(),
            after_event = before,
            next_event = after.saturating_add(1),
            "an administrator has a webhook skip events"
        );
    }
    changed(&webhooks, &endpoint, number).await
}

fn apply(position: &mut Position, after_event: Option<u64>, newest: u64) -> Result<(), ApiError> {
    if let Some(after) = after_event {
        if !(position.after..=newest).contains(&after) {
            let reason = format!(
                "expected {} to {newest}; POST /webhooks/NAME/replay sends older events again",
                position.after
            );
            return Err(ApiError::field("after_event", reason));
        }
        position.skip(after);
    }
    position.disabled = None;
    Ok(())
}
