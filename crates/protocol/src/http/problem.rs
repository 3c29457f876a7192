//! Errors as RFC 9457 problem documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
    "detail": "amount: expected at least 330 sat, or nodes call it dust",
    "errors": [{"field": "amount", "message": "expected at least 330 sat, or nodes call it dust"}]
})))]
pub struct Problem {
    /// What kind of problem: `about:blank`, or a name of `docs/API.md`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, and what to do.
    pub detail: String,
    /// With 422: each field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name, with dots between levels.
    pub field: String,
    /// What would be right.
    pub message: String,
}
