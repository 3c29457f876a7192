//! Errors of the HTTP API, as RFC 9457 problem documents. Status codes are set here, and by handlers that give one
//! explicitly.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use sdk_relay_chain::SourceError;
use sdk_relay_protocol::http::{FieldError, Problem};

/// Longest message of a wrong field, in bytes: serde quotes the complete value, which may be a megabyte.
const REASON: usize = 240;

/// An error for the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
}

impl ApiError {
    /// An error with this status and this text.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The requested resource does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// A dependency is unavailable; the text says which.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// A token is required, or the given one is wrong.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Several fields have values that are not acceptable.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let messages: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: messages.join("; "),
            errors,
        }
    }

    /// A field has a value that is not acceptable.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
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

    /// For edges with another error format.
    pub fn into_parts(self) -> (StatusCode, String) {
        (self.status, self.detail)
    }

    /// An internal error: logged, and not shown to the client.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; the log of the relay has the details",
        )
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        match &error {
            SourceError::NoSuchBlock(_) | SourceError::Pruned(_) => Self::not_found(error.to_string()),
            SourceError::Unreachable { .. }
            | SourceError::Proxy { .. }
            | SourceError::Unauthorized { .. }
            | SourceError::WrongChain { .. }
            | SourceError::Warming { .. } => Self::unavailable(format!("bitcoin_core: {error}")),
            SourceError::Rpc { .. } | SourceError::Malformed { .. } => {
                tracing::error!(%error, "the node sent a reply that the relay cannot parse");
                Self::unavailable("bitcoin_core: the node sent a reply that the relay cannot parse")
            }
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            // It is valid JSON of another form.
            JsonRejection::JsonDataError(error) => {
                let (field, message) = field_and_message(&error.body_text());
                Self::field(&field, message)
            }
            other => Self::new(other.status(), other.body_text()),
        }
    }
}

/// The field and the message in axum's `WORDS: FIELD: MESSAGE at line L column C`. If a field is missing, or the body
/// is not an object, there is no `FIELD: `.
fn field_and_message(text: &str) -> (String, String) {
    let reason = text.split_once("target type: ").map_or(text, |(_, reason)| reason);
    let reason = reason.rfind(" at line ").map_or(reason, |end| &reason[..end]);
    let (field, message) = match reason.split_once(": ") {
        Some((field, message)) if !field.contains(' ') => (field, message),
        _ => match reason.strip_prefix("missing field `").and_then(|r| r.strip_suffix('`')) {
            Some(field) => (field, "missing"),
            None if reason.starts_with("unknown field") || reason.starts_with("duplicate field") => {
                (reason.split('`').nth(1).unwrap_or("body"), reason)
            }
            None => ("body", reason),
        },
    };
    let mut message = message.to_owned();
    if message.len() > REASON {
        message.truncate(message.floor_char_boundary(REASON));
        message.push('…');
    }
    (field.to_owned(), message)
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
        const WORDS: &str = "Failed to deserialize the JSON body into the target type: ";
        for (text, field, message) in [
            (
                "amount: invalid type: integer `1`, expected a string at line 1 column 11",
                "amount",
                "invalid type: integer `1`, expected a string",
            ),
            ("missing field `amount` at line 1 column 2", "amount", "missing"),
            (
                "a.b[1]: invalid type: string \"x at line 1: y\", expected u32 at line 1 column 2",
                "a.b[1]",
                "invalid type: string \"x at line 1: y\", expected u32",
            ),
            (
                "invalid type: integer `5`, expected a map at line 1 column 1",
                "body",
                "invalid type: integer `5`, expected a map",
            ),
        ] {
            let found = field_and_message(&format!("{WORDS}{text}"));
            assert_eq!(found, (field.to_owned(), message.to_owned()));
        }
        assert!(field_and_message(&format!("a: {}", "é".repeat(1000))).1.len() < 250);
    }
}
