//! `POST forward-tx` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize_hex;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use sdk_relay_chain::BroadcastError;
use sdk_relay_echo::{parser_reason, reason};
use sdk_relay_http_common::{ApiError, Bytes, Json};
use sdk_relay_protocol::blindbit::ForwardTx;

use crate::answer::Refusal;
use crate::state::HandlesState;

/// Broadcasts a transaction and returns its txid. (An Oracle returns nothing; spdk expects a txid.)
#[utoipa::path(
    post,
    path = "/blindbit/v1/forward-tx",
    operation_id = "blindbitV1ForwardTx",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    request_body(content((ForwardTx = "application/json"), (ForwardTx = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The node has accepted the transaction and broadcasts it; the txid", body = String),
        (status = 400, description = "The body is not a JSON object or form with `data`, or `data` is not a transaction"),
        (status = 422, description = "The node rejects the transaction; the text contains the reason of the node"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(crate) async fn forward_tx(
    State(handles): HandlesState,
    headers: HeaderMap,
    body: Result<Bytes, ApiError>,
) -> Result<Json<String>, Refusal> {
    let Bytes(body) = body.map_err(|error| {
        let (status, detail) = error.into_parts();
        Refusal::new(status, detail)
    })?;
    let ForwardTx { data } = read(&headers, &body)?;
    let tx: Transaction = deserialize_hex(&data).map_err(|e| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("data: not a transaction: {}", reason(&e.to_string())),
        )
    })?;
    let sent = handles.chain.broadcast(&tx).await;
    let txid = sent.map_err(|error| match error {
        BroadcastError::Rejected(rejection) => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the node rejects the transaction: {}", reason(&rejection)),
        ),
        BroadcastError::Source(error) => error.into(),
    })?;
    Ok(Json(txid.to_string()))
}

/// Parses the body as an Oracle does: a form if its content type says so, JSON otherwise.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<ForwardTx, Refusal> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let read = if kind.starts_with("application/x-www-form-urlencoded") {
        serde_urlencoded::from_bytes(body).map_err(|e| e.to_string())
    } else {
        serde_json::from_slice(body).map_err(|e| e.to_string())
    };
    read.map_err(|e| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("expected a JSON object or form with data: {}", parser_reason(&e)),
        )
    })
}
