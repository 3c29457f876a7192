//! `POST /webhooks/{name}/replay`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sdk_relay_chain::joined;
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_platform::blocking;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::http::{ReplayRequest, WebhookChanged, WebhookReplay};
use sdk_relay_store::StoreError;

use super::answer::{changed, conflict, find};
use crate::positions::Position;
use crate::webhooks::Webhooks;

/// Sends events of the log again, with the same ids.
///
/// Those of the webhook's types, in order, while no newer event waits. The log must still have the first one.
#[utoipa::path(
    post,
    path = "/webhooks/{name}/replay",
    operation_id = "replayWebhook",
    tag = "Webhooks",
    security(("adminToken" = [])),
    params(("name" = String, Path, description = "Name in the configuration", min_length = 1, example = "shop")),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "The webhook, with what is to be sent again", body = WebhookChanged),
        (status = 404, description = "No webhook has this name"),
        (status = 409, description = "The webhook is disabled, or its last replay has not ended yet"),
        (status = 422, description = "The log does not have these events, or the webhook has not got to them yet"),
    ),
)]
pub(super) async fn replay(
    State(webhooks): State<Webhooks>,
    name: Result<Path<String>, PathRejection>,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<WebhookChanged>, ApiError> {
    let endpoint = find(&webhooks, name)?;
    let source = Arc::clone(&webhooks.0.source);
    let oldest = joined(blocking::spawn(move || source.oldest()).await);
    let oldest = oldest.ok_or_else(ApiError::internal)?.map_err(unreadable)?;
    let replay = WebhookReplay {
        next: request.from_event,
        to: request.to_event.unwrap_or(request.from_event),
        requested: unix_now(),
    };
    let number = endpoint.try_change(|position| -> Result<(), ApiError> {
        check(replay, oldest, position)?;
        position.replay = Some(replay);
        Ok(())
    })?;
    endpoint.status().reset_replay();
    changed(&webhooks, &endpoint, number).await
}

fn check(replay: WebhookReplay, oldest: u64, position: &Position) -> Result<(), ApiError> {
    if position.disabled.is_some() {
        return Err(conflict("the webhook is disabled: enable it first"));
    }
    if position.replay.is_some() {
        return Err(conflict(
            "the last replay of this webhook has not ended yet: GET /webhooks shows what is left, and POST /webhooks/NAME/replay/cancel ends it",
        ));
    }
    if replay.next < oldest {
        let reason = format!("the log begins with event {oldest}");
        return Err(ApiError::field("from_event", reason));
    }
    if replay.to < replay.next {
        return Err(ApiError::field("to_event", "expected from_event or more"));
    }
    if replay.to > position.after {
        let reason = format!(
            "expected at most {}, the last event that was delivered or skipped",
            position.after
        );
        let field = if replay.next > position.after {
            "from_event"
        } else {
            "to_event"
        };
        return Err(ApiError::field(field, reason));
    }
    Ok(())
}

fn unreadable(error: StoreError) -> ApiError {
    tracing::error!(%error, "cannot read the event log");
    ApiError::unavailable("the event log cannot be read: check the disk of data_dir")
}
