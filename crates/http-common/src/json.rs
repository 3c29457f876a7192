//! Answers in JSON.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use sdk_relay_protocol::encode;
use serde::Serialize;

/// An answer in JSON. It ends with a line break, so that the prompt of a shell is on a line of its own after `curl`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match encode(&self.0) {
            Ok(body) => json_text(body),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be encoded: please report this bug");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// An answer whose body is encoded already, without the line break.
pub fn json_text(mut body: Vec<u8>) -> Response {
    body.push(b'\n');
    let kind = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (kind, body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_body_ends_with_one_line_break() {
        for (response, expected) in [
            (Json([1, 2]).into_response(), &b"[1,2]\n"[..]),
            (json_text(b"{}".to_vec()), b"{}\n"),
        ] {
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), expected);
        }
    }
}
