//! Answers with caching headers, and refusals in the formats of BlindBit.

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash, sha256};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use sdk_relay_chain::SourceError;
use sdk_relay_http_common::{ApiError, Json, has_tag, json_text};
use sdk_relay_protocol::encode;
use sdk_relay_protocol::http::Problem;
use serde::Serialize;

use crate::state::Handles;

/// How long an answer is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// For ever: it depends only on a deeply confirmed block.
    Forever,
    /// Until the next block: clients revalidate with the ETag.
    UntilNextBlock,
}

/// The answer as JSON, or 304. The ETag is weak: it identifies the content independently of compression.
pub(crate) fn answer(
    handles: &Handles,
    request_headers: &HeaderMap,
    freshness: Freshness,
    value: &impl Serialize,
) -> Result<Response, Refusal> {
    let body = encode(value).map_err(|_| Refusal::internal())?;
    let hash = sha256::Hash::hash(&body).to_string();
    let tag = format!("W/\"{}\"", &hash[..32]);
    let scope = if handles.settings.now().auth.read_token.is_some() {
        "private"
    } else {
        "public"
    };
    let cache = match freshness {
        Freshness::Forever => format!("{scope}, max-age=31536000, immutable"),
        Freshness::UntilNextBlock => format!("{scope}, no-cache"),
    };
    let headers = [(ETAG, header(tag.clone())?), (CACHE_CONTROL, header(cache)?)];
    if has_tag(request_headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, json_text(body)).into_response())
}

fn header(text: String) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_maybe_shared(text).map_err(|_| Refusal::internal())
}

/// A refusal: a problem document as in the rest of the API, with the additional fields of BlindBit: `error` (version
/// 1), `success` and `data` (version 2).
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    detail: String,
}

#[derive(Serialize)]
struct ErrorBody {
    #[serde(flatten)]
    problem: Problem,
    error: String,
    success: bool,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    error: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    /// The status, and the sentence.
    pub(crate) fn into_parts(self) -> (StatusCode, String) {
        (self.status, self.detail)
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error; the log of the relay has the details",
        )
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        let (status, detail) = ApiError::from(error).into_parts();
        Self::new(status, detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.detail.clone(),
            success: false,
            data: Data {
                error: self.detail.clone(),
            },
            problem: Problem {
                kind: "about:blank".to_owned(),
                title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
                status: self.status.as_u16(),
                detail: self.detail,
                errors: Vec::new(),
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_has_the_fields_of_both_versions() {
        let response = Refusal::new(StatusCode::BAD_REQUEST, "could not parse block height").into_response();
        assert_eq!(response.status(), 400);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"], "could not parse block height");
        assert_eq!(body["data"]["error"], body["error"]);
        assert_eq!(body["success"], false);
        assert_eq!(body["detail"], body["error"]);
    }
}
