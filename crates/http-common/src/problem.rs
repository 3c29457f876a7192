//! Errors of the HTTP API, as RFC 9457 problem documents. Status codes are set here, and by handlers that give one
//! explicitly.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use sdk_relay_chain::SourceError;
use sdk_relay_echo::{parser_reason, short};
use sdk_relay_protocol::http::{FieldError, Problem};

use crate::json::Json;

/// Most wrong fields that one answer lists: more than there are settings that can be changed. A body of a megabyte may
/// have a hundred thousand unknown ones.
const MOST_FIELDS: usize = 100;

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
    pub fn fields(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MOST_FIELDS);
        for error in &mut errors {
            // The name of an unknown field is as long as the client likes.
            error.field = short(&error.field);
        }
        let messages: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: messages.join("; "),
            errors,
        }
    }

    /// A field has a value that is not acceptable.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let (field, message) = (short(field), message.into());
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: format!("{field}: {message}"),
            errors: vec![FieldError { field, message }],
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
            | SourceError::NoCookie { .. }
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
            other => Self::new(other.status(), parser_reason(&other.body_text())),
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
    (short(field), parser_reason(message))
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, parser_reason(&rejection.body_text()))
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
        let mut response = (self.status, Json(problem)).into_response();
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
        assert!(field_and_message(&format!("a: {}", "é".repeat(1000))).1.chars().count() < 310);
    }

    #[tokio::test]
    async fn a_problem_is_bounded_and_ends_with_a_line_break() {
        let long = "\u{1b}\n".repeat(5000);
        let wrong = |field: String| FieldError {
            field,
            message: "there is no such setting".to_owned(),
        };
        let fields = (0..5000).map(|n| wrong(format!("{n}{long}"))).collect();
        for (error, most) in [
            (ApiError::fields(fields), 200_000),
            (ApiError::field(&long, "expected 1"), 4000),
        ] {
            let response = error.into_response();
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert!(body.len() < most && body.ends_with(b"}\n"), "{}", body.len());
            assert!(!body.trim_ascii().iter().any(u8::is_ascii_control));
        }
    }
}
