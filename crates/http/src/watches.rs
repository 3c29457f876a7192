//! `/watches/{watch_id}`: detached watches, for clients that have the token of one.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue, RETRY_AFTER};
use sdk_relay_detect::{AttachRefused, DetachedState, Detection, Gap};
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_protocol::http::{DetachedWatch, LostMatches, WatchDeleted};
use sdk_relay_service::bearer_token;
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_transport::{ClientAddress, network_of};

/// Where the routes of this resource begin: any page may use them, as they need a secret that only a client has.
pub(super) const PATH: &str = "/watches/";

/// Returns the state of a detached watch.
#[utoipa::path(
    get,
    path = "/watches/{watch_id}",
    operation_id = "getDetachedWatch",
    tag = "Watches",
    security(("watchToken" = [])),
    params(("watch_id" = String, Path, description = "Id of the watch", max_length = 64)),
    responses(
        (status = 200, description = "The watch", body = DetachedWatch),
        (status = 404, description = "There is no such watch, or its token is another one"),
    ),
)]
pub(super) async fn state(
    State(detection): State<Detection>,
    Extension(client): Extension<ClientAddress>,
    watch_id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let Path(watch_id) = watch_id.map_err(ApiError::from)?;
    let token = token(&headers)?;
    let address = network_of(client.ip());
    let state = detection.detached(watch_id.clone(), token, address).await;
    Ok(private(Json(view(watch_id, &state?))))
}

/// Ends a detached watch. A connection that is attached to it receives `watch_ended`.
#[utoipa::path(
    delete,
    path = "/watches/{watch_id}",
    operation_id = "deleteDetachedWatch",
    tag = "Watches",
    security(("watchToken" = [])),
    params(("watch_id" = String, Path, description = "Id of the watch", max_length = 64)),
    responses(
        (status = 200, description = "The watch has ended", body = WatchDeleted),
        (status = 404, description = "There is no such watch, or its token is another one"),
    ),
)]
pub(super) async fn delete(
    State(detection): State<Detection>,
    Extension(client): Extension<ClientAddress>,
    watch_id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let Path(watch_id) = watch_id.map_err(ApiError::from)?;
    let token = token(&headers)?;
    let address = network_of(client.ip());
    detection.end_detached(watch_id.clone(), token, address).await?;
    Ok(private(Json(WatchDeleted {
        status: "unwatched".to_owned(),
        watch_id,
        timestamp: unix_now(),
    })))
}

fn token(headers: &HeaderMap) -> Result<&str, ApiError> {
    bearer_token(headers)
        .ok_or_else(|| ApiError::unauthorized("send Authorization: Bearer TOKEN with the watch_token of this watch"))
}

/// What one client may read must not be kept for others.
fn private(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Why a request is refused, and when to try again, in seconds.
pub(super) struct Refused {
    error: ApiError,
    later: Option<u64>,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self { error, later: None }
    }
}

impl From<AttachRefused> for Refused {
    fn from(refused: AttachRefused) -> Self {
        let text = refused.to_string();
        match refused {
            AttachRefused::TooManyFailures { seconds } => Self {
                error: ApiError::new(StatusCode::TOO_MANY_REQUESTS, text),
                later: Some(seconds),
            },
            AttachRefused::Stalled | AttachRefused::Ending => ApiError::unavailable(text).into(),
            // No request has `after` here.
            AttachRefused::NotFound | AttachRefused::After { .. } => ApiError::not_found(text).into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if let Some(seconds) = self.later {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn view(watch_id: String, state: &DetachedState) -> DetachedWatch {
    let lost = |gap: Gap| LostMatches {
        first_watch_seq: gap.first,
        last_watch_seq: gap.last,
        from_height: gap.from_height,
    };
    DetachedWatch {
        watch_id,
        attached: state.is_attached,
        expires_at: state.expires_at,
        buffered: state.buffered as u64,
        first_watch_seq: state.first_seq,
        last_watch_seq: state.last_seq,
        gap: state.gap.map(lost),
        history: state.history,
        height: state.height,
        timestamp: unix_now(),
    }
}
