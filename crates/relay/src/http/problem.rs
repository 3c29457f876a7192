//! Every error of the HTTP API, as an RFC 9457 problem document. Status codes are given here and by the handlers that say which they mean.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use sdk_relay_chain::SourceError;
use sdk_relay_protocol::http::{FieldError, Problem};

/// An error on its way to the client.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What the answer needs is away; the text says what.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// A field has a value that is not acceptable.
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: format!("{field}: {message}"),
            errors: vec![FieldError {
                field: field.to_owned(),
                message,
            }],
        }
    }

    /// A fault of the relay: the log has it, the client does not.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a fault of the relay; its log says more",
        )
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::NoSuchBlock(_) | SourceError::Pruned(_) => Self::not_found(error.to_string()),
            SourceError::Unreachable { .. }
            | SourceError::Unauthorized { .. }
            | SourceError::WrongChain { .. }
            | SourceError::Warming { .. } => Self::unavailable(format!("bitcoin_core: {error}")),
            SourceError::Rpc { .. } | SourceError::Malformed { .. } => {
                tracing::error!(%error, "the node gave an answer that this relay does not understand");
                Self::unavailable("bitcoin_core: the node gave an answer that this relay does not understand")
            }
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            // It is JSON, but not what is asked for.
            JsonRejection::JsonDataError(error) => {
                let text = error.body_text();
                let reason = text.rsplit_once("target type: ").map_or(text.as_str(), |(_, r)| r);
                let field = reason.split('`').nth(1).unwrap_or("body").to_owned();
                Self::field(&field, reason.split(" at line ").next().unwrap_or(reason))
            }
            other => Self::new(other.status(), other.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(problem)).into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
