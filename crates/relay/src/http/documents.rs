//! What describes the API: made once when the relay starts, as nothing that it depends on changes before the next start.

use axum::body::Bytes;
use sdk_relay_http_common::Edge;
use sdk_relay_service::Context;

use super::openapi;

/// The document, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    /// `/openapi.json`.
    pub(super) openapi: Bytes,
}

impl Documents {
    pub(super) fn of(cx: &Context, edges: &[Edge]) -> Self {
        let document = openapi::document(cx.settings.started_with(), cx.dev.is_some(), edges);
        Self {
            openapi: document.to_string().into(),
        }
    }
}
