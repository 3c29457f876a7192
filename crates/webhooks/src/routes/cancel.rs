//! `POST /webhooks/{name}/replay/cancel`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_protocol::http::WebhookChanged;

use super::answer::{changed, find};
use crate::webhooks::Webhooks;

/// Ends a replay: what is left of it is not sent again.
///
/// Without a replay it changes nothing.
#[utoipa::path(
    post,
    path = "/webhooks/{name}/replay/cancel",
    operation_id = "cancelReplay",
    tag = "Webhooks",
    security(("adminToken" = [])),
    params(("name" = String, Path, description = "Name in the configuration", min_length = 1, example = "shop")),
    responses(
        (status = 200, description = "The webhook, without a replay", body = WebhookChanged),
        (status = 400, description = "The path is not UTF-8"),
        (status = 404, description = "No webhook has this name"),
    ),
)]
pub(super) async fn cancel(
    State(webhooks): State<Webhooks>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<WebhookChanged>, ApiError> {
    let endpoint = find(&webhooks, name)?;
    let number = endpoint.change(|position| position.replay = None);
    endpoint.status().reset_replay();
    changed(&webhooks, &endpoint, number).await
}
