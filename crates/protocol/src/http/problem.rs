//! Errors as RFC 9457 problem documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(examples(json!({
    "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
    "detail": "amount: expected at least 330 sat: nodes reject smaller outputs as dust",
    "errors": [{"field": "amount", "message": "expected at least 330 sat: nodes reject smaller outputs as dust"}]
})))]
pub struct Problem {
    /// Kind of problem: `about:blank`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the status.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, and what to do.
    pub detail: String,
    /// Only with 422: the fields that are not acceptable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A field that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct FieldError {
    /// Name of the field, with dots between levels.
    pub field: String,
    /// What was expected.
    pub message: String,
}
