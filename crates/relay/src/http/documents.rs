//! What describes the API: made once when the relay starts, as nothing that it depends on changes before the next start.

use axum::body::Bytes;
use sdk_relay_service::Context;
use serde_json::Value;

use super::{asyncapi, openapi};

/// The documents, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    /// `/openapi.json`.
    pub(super) openapi: Bytes,
    /// `/asyncapi.json`.
    pub(super) asyncapi: Bytes,
}

impl Documents {
    pub(super) fn of(cx: &Context) -> Self {
        let config = cx.settings.started_with();
        Self {
            openapi: bytes(&openapi::document(config, cx.dev.is_some())),
            asyncapi: bytes(&asyncapi::document(config)),
        }
    }
}

/// What utoipa gathered, as JSON. Its names of formats are put right: it writes `u-int64` for `uint64` of the OpenAPI format registry.
pub(super) fn gathered(document: &utoipa::openapi::OpenApi) -> Value {
    let text = document.to_json().map(|text| text.replace("\"u-int", "\"uint"));
    text.and_then(|text| serde_json::from_str(&text))
        .unwrap_or_else(|error| {
            tracing::error!(%error, "the API description is incomplete: please report this bug");
            Value::Null
        })
}

fn bytes(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}

#[cfg(test)]
mod tests;
