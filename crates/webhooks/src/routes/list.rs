//! `GET /webhooks`.

use axum::extract::State;
use sdk_relay_http_common::Json;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::http::WebhookList;

use crate::shown::shown;
use crate::webhooks::Webhooks;

/// Lists the configured webhooks, without secrets.
#[utoipa::path(
    get,
    path = "/webhooks",
    operation_id = "listWebhooks",
    tag = "Webhooks",
    security(("adminToken" = [])),
    responses(
        (status = 200, description = "State, position and last failures of each webhook", body = WebhookList),
        (status = 403, description = "The request comes from a page whose origin is neither the relay's own nor in `http.cors_origins`"),
    ),
)]
pub(super) async fn list(State(webhooks): State<Webhooks>) -> Json<WebhookList> {
    let newest = webhooks.newest();
    let endpoints = webhooks.0.endpoints.values();
    Json(WebhookList {
        webhooks: endpoints.map(|endpoint| shown(endpoint, newest)).collect(),
        newest_event: newest,
        timestamp: unix_now(),
    })
}
