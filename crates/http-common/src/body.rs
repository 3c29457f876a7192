//! Extractors of request bodies: of bounded size, within a deadline, in the shared memory budget; and, for JSON, one
//! object with the right content type.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use sdk_relay_config::whole;
use sdk_relay_transport::{Buffer, Evicted, Input, InputBudget};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::ApiError;

/// Largest request body: many times the size of any valid request.
const BODY_BYTES: usize = 1 << 20;

/// The bytes of a body.
pub struct Bytes(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let Some(budget) = request.extensions().get::<Arc<InputBudget>>().map(Arc::clone) else {
            tracing::error!("a request has no memory budget for its body: please report this bug");
            return Err(ApiError::internal());
        };
        let input = budget.begin();
        match tokio::time::timeout(budget.deadline(), collect(request.into_body(), &input)).await {
            Ok(bytes) => bytes.map(Self),
            Err(_) => {
                input.late();
                let detail = format!("the body was not complete within {} s", budget.deadline().as_secs());
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, detail))
            }
        }
    }
}

async fn collect(mut body: axum::body::Body, input: &Input) -> Result<Vec<u8>, ApiError> {
    let too_big = || {
        let detail = format!("the body exceeds {BODY_BYTES} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let evicted = |Evicted| ApiError::unavailable(Evicted.to_string());
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_big());
    }
    input.park(Buffer::default());
    loop {
        let frame = tokio::select! {
            () = input.evicted() => return Err(evicted(Evicted)),
            frame = body.frame() => frame,
        };
        let mut buffer = input.resume().map_err(evicted)?;
        let Some(frame) = frame else {
            return Ok(buffer.into_vec());
        };
        let frame =
            frame.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, format!("cannot read the body: {error}")))?;
        // Trailers are ignored.
        if let Ok(data) = frame.into_data() {
            if buffer.len() + data.len() > BODY_BYTES {
                return Err(too_big());
            }
            let coming = usize::try_from(body.size_hint().lower()).unwrap_or(BODY_BYTES);
            buffer.append(&data, coming.saturating_add(data.len()), |_| {});
        }
        input.park(buffer);
    }
}

/// The body as `T`. With `Option`, an omitted body is `None`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        json_announced(request.headers())?;
        let Bytes(bytes) = Bytes::from_request(request, state).await?;
        read(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, ApiError> {
        let announced = json_announced(request.headers());
        let Bytes(bytes) = Bytes::from_request(request, state).await?;
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
    // serde accepts an array for a struct; the API accepts objects only.
    if read.is_ok() && bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::field("body", "expected a JSON object"));
    }
    Ok(read?)
}

/// Retries after a number such as `60.0` was refused: some languages encode integers like this.
fn with_whole_numbers<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut body: Value = serde_json::from_slice(bytes).ok()?;
    make_whole(&mut body).then(|| serde_json::from_value(body).ok())?
}

/// Returns whether a number was converted.
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

/// Converts all of them, without short-circuiting.
fn make_all_whole<'a>(values: impl Iterator<Item = &'a mut Value>) -> bool {
    values.map(make_whole).filter(|made| *made).count() > 0
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
    use prometheus_client::metrics::counter::Counter;
    use sdk_relay_protocol::http::MineRequest;

    use super::*;

    async fn status(content_type: &str, body: &'static str) -> u16 {
        let request = Request::post("/")
            .header(CONTENT_TYPE, content_type)
            .extension(InputBudget::new(BODY_BYTES, Counter::default()))
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

    /// Each field of each request in turn, with a value of a wrong type.
    #[test]
    fn a_wrong_field_of_a_body_is_named() {
        use sdk_relay_protocol::http::{ForceSyncRequest, PayRequest, TxRequest};
        fn wrong<T: DeserializeOwned>(body: &str) -> String {
            let error = read::<T>(body.as_bytes()).err().unwrap_or_else(|| panic!("{body}"));
            let (status, detail) = error.into_parts();
            assert_eq!(status, 422, "{detail}");
            detail
        }
        for value in ["{}", "true", "-1.5", "[[1]]"] {
            let body = |field: &str| format!("{{\"address\":\"a\",\"amount\":\"1\",\"{field}\":{value}}}");
            for (field, detail) in [
                ("blocks", wrong::<MineRequest>(&format!("{{\"blocks\":{value}}}"))),
                ("hex", wrong::<TxRequest>(&format!("{{\"hex\":{value}}}"))),
                (
                    "address",
                    wrong::<PayRequest>(&body("address").replacen("\"address\":\"a\",", "", 1)),
                ),
                (
                    "amount",
                    wrong::<PayRequest>(&body("amount").replacen("\"amount\":\"1\",", "", 1)),
                ),
                (
                    "target_relays",
                    wrong::<ForceSyncRequest>(&format!("{{\"target_relays\":{value}}}")),
                ),
                (
                    "sync_types",
                    wrong::<ForceSyncRequest>(&format!("{{\"sync_types\":{value}}}")),
                ),
            ] {
                assert!(detail.starts_with(field), "{field}: {detail}");
            }
        }
        assert_eq!(wrong::<PayRequest>("{}"), "address: missing");
        assert!(wrong::<TxRequest>("{\"package\":[1]}").starts_with("package"));
        let long = format!("{{\"blocks\":\"{}\"}}", "\\u001b é".repeat(3000));
        let detail = wrong::<MineRequest>(&long);
        assert!(
            detail.starts_with("blocks: ") && detail.chars().count() < 1500,
            "{detail}"
        );
        assert!(
            !detail.contains('\u{1b}') && detail.matches('é').count() < 40,
            "{detail}"
        );
    }

    /// A body that never completes.
    fn unfinished(bytes: &'static [u8]) -> HttpBody {
        use futures_util::StreamExt;
        let first = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
        HttpBody::from_stream(first.chain(futures_util::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_complete_in_time_is_408_and_its_memory_is_given_back() {
        let budget = InputBudget::new(BODY_BYTES, Counter::default());
        let request = Request::post("/").extension(Arc::clone(&budget));
        let request = request.body(unfinished(b"{")).unwrap();
        let began = tokio::time::Instant::now();
        let error = Bytes::from_request(request, &()).await.err().unwrap();
        assert_eq!(error.into_response().status(), 408);
        assert_eq!((began.elapsed(), budget.bytes()), (budget.deadline(), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_unfinished_body_is_503_when_memory_is_short() {
        let budget = InputBudget::new(150, Counter::default());
        let read = |bytes| {
            let request = Request::post("/").extension(Arc::clone(&budget));
            Bytes::from_request(request.body(unfinished(bytes)).unwrap(), &())
        };
        let (large, small) = tokio::join!(read(&[0; 100]), read(&[0; 60]));
        assert_eq!(large.err().unwrap().into_response().status(), 503);
        assert_eq!(small.err().unwrap().into_response().status(), 408);
    }

    #[tokio::test]
    async fn a_body_may_be_left_out_where_it_is_optional() {
        let request = || Request::post("/").extension(InputBudget::new(BODY_BYTES, Counter::default()));
        let empty = request().body(HttpBody::empty()).unwrap();
        let body = <Body<MineRequest> as OptionalFromRequest<()>>::from_request(empty, &()).await;
        assert!(matches!(body, Ok(None)));
        let wrong = request().body(HttpBody::from("{}")).unwrap();
        let body = <Body<MineRequest> as OptionalFromRequest<()>>::from_request(wrong, &()).await;
        assert_eq!(body.err().unwrap().into_response().status(), 415);
    }
}
