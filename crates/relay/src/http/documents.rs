//! What describes the API: made once when the relay starts, as nothing that it depends on changes before the next start.

use axum::body::Bytes;
use serde_json::Value;

use super::{asyncapi, openapi};
use crate::context::Context;

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

fn bytes(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}
