//! A request's JSON body, read the same way everywhere: one object, of the right content type, of a bounded size.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use super::problem::ApiError;

/// The body as `T`. With `Option`, a body that is left out is `None`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        json_announced(request.headers())?;
        let bytes = Bytes::from_request(request, state).await?;
        read(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let announced = json_announced(request.headers());
        let bytes = Bytes::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        announced?;
        read(&bytes).map(|body| Some(Self(body)))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let read = match Json::from_bytes(bytes) {
        Err(refused @ JsonRejection::JsonDataError(_)) => with_whole_numbers(bytes).ok_or(refused),
        read => read.map(|Json(body)| body),
    };
    // serde reads a struct from an array too; the contract knows objects only.
    if read.is_ok() && bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::field("body", "expected a JSON object"));
    }
    Ok(read?)
}

/// The body again, where a number such as `60.0` was refused: JSON knows one kind of number, and some languages write whole ones so.
fn with_whole_numbers<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut body: Value = serde_json::from_slice(bytes).ok()?;
    make_whole(&mut body).then(|| serde_json::from_value(body).ok())?
}

/// Whether there was a number to be made whole.
fn make_whole(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => match whole(number).filter(|_| number.is_f64()) {
            Some(whole) => {
                *value = whole.into();
                true
            }
            None => false,
        },
        Value::Array(items) => make_all_whole(items.iter_mut()),
        Value::Object(fields) => make_all_whole(fields.values_mut()),
        _ => false,
    }
}

/// All of them, not only up to the first that is made whole.
fn make_all_whole<'a>(values: impl Iterator<Item = &'a mut Value>) -> bool {
    values.map(make_whole).filter(|made| *made).count() > 0
}

/// The number as an integer, where it is one: `60` and `60.0`.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    /// Beyond this a float no longer tells one whole number from the next.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64);
    number.as_i64().or_else(|| number.as_f64().and_then(exact))
}

fn json_announced(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "expected a body with Content-Type: application/json",
    ))
}

#[cfg(test)]
mod tests {
    use axum::body::Body as HttpBody;
    use axum::response::IntoResponse;
    use sdk_relay_protocol::http::MineRequest;

    use super::*;

    async fn status(content_type: &str, body: &'static str) -> u16 {
        let request = Request::post("/")
            .header(CONTENT_TYPE, content_type)
            .body(HttpBody::from(body))
            .unwrap();
        match <Body<MineRequest> as FromRequest<()>>::from_request(request, &()).await {
            Ok(_) => 200,
            Err(error) => error.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn one_object_of_the_right_type() {
        assert_eq!(status("application/json", "{}").await, 200);
        assert_eq!(status("Application/JSON; charset=utf-8", " {\"blocks\":1}").await, 200);
        assert_eq!(status("application/merge-patch+json", "{}").await, 200);
        assert_eq!(status("text/plain", "{}").await, 415);
        assert_eq!(status("", "{}").await, 415);
        assert_eq!(status("application/json", "{").await, 400);
        assert_eq!(status("application/json", "").await, 400);
        assert_eq!(status("application/json", "[]").await, 422);
        assert_eq!(status("application/json", "[1]").await, 422);
        assert_eq!(status("application/json", "7").await, 422);
        assert_eq!(status("application/json", "{\"blocks\":-1}").await, 422);
        assert_eq!(status("application/json", "{\"blocks\":3.0}").await, 200);
        assert_eq!(status("application/json", "{\"blocks\":3.5}").await, 422);
    }

    #[tokio::test]
    async fn a_body_may_be_left_out_where_it_is_optional() {
        let empty = Request::post("/").body(HttpBody::empty()).unwrap();
        let body = <Body<MineRequest> as OptionalFromRequest<()>>::from_request(empty, &()).await;
        assert!(matches!(body, Ok(None)));
        let wrong = Request::post("/").body(HttpBody::from("{}")).unwrap();
        let body = <Body<MineRequest> as OptionalFromRequest<()>>::from_request(wrong, &()).await;
        assert_eq!(body.err().unwrap().into_response().status(), 415);
    }
}
