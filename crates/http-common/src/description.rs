//! The parts of the API descriptions.

use serde_json::Value;

/// The document of utoipa as JSON, with corrected names of formats: it writes `u-int64` for `uint64` of the OpenAPI
/// format registry.
pub fn gathered(document: &utoipa::openapi::OpenApi) -> Value {
    let text = document.to_json().map(|text| text.replace("\"u-int", "\"uint"));
    text.and_then(|text| serde_json::from_str(&text))
        .unwrap_or_else(|error| {
            tracing::error!(%error, "the API description is incomplete: please report this bug");
            Value::Null
        })
}
