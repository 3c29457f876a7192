//! Every error of the HTTP API, as an RFC 9457 problem document. Status codes are given here and by the handlers that say which they mean.

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
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

    /// A token is needed, or the one given is wrong.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Several fields have values that are not acceptable.
    pub(super) fn fields(errors: Vec<FieldError>) -> Self {
        let told: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: told.join("; "),
            errors,
        }
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
            SourceError::Unreachable { .. } | SourceError::Unauthorized { .. } | SourceError::Warming { .. } => {
                Self::unavailable(format!("bitcoin_core: {error}"))
            }
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
                let reason = text.split_once("target type: ").map_or(text.as_str(), |(_, r)| r);
                let (field, message) = field_of(reason.split(" at line ").next().unwrap_or(reason));
                Self::field(field, message)
            }
            other => Self::new(other.status(), other.body_text()),
        }
    }
}

/// The field that serde speaks of, and what it says of it: `amount: invalid type…`, or `missing field `amount``.
fn field_of(reason: &str) -> (&str, &str) {
    if let Some((path, message)) = reason.split_once(": ").filter(|(path, _)| !path.contains([' ', '`'])) {
        return (path, message);
    }
    let named = reason.starts_with("missing field")
        || reason.starts_with("unknown field")
        || reason.starts_with("duplicate field");
    (reason.split('`').nth(1).filter(|_| named).unwrap_or("body"), reason)
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
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
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let invalid = "invalid type: floating point `441.5`, expected u32";
        assert_eq!(field_of(&format!("blocks: {invalid}")), ("blocks", invalid));
        assert_eq!(field_of("missing field `amount`"), ("amount", "missing field `amount`"));
        let unknown = "unknown field `colour`, expected `address` or `amount`";
        assert_eq!(field_of(&format!("colour: {unknown}")), ("colour", unknown));
        let null = "invalid type: null, expected struct MineRequest";
        assert_eq!(field_of(null), ("body", null));
    }
}
