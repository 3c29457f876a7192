//! `POST forward-tx` of version 1.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize_hex;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use sdk_relay_chain::BroadcastError;
use sdk_relay_protocol::blindbit::ForwardTx;

use super::super::super::Cx;
use super::super::super::body::Bytes;
use super::super::super::problem::ApiError;
use super::super::answer::Refusal;

/// Sends a transaction to the network. An Oracle answers with nothing; spdk reads a txid, which is what comes here.
#[utoipa::path(
    post,
    path = "/blindbit/v1/forward-tx",
    operation_id = "blindbitV1ForwardTx",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    request_body(content((ForwardTx = "application/json"), (ForwardTx = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The node has it and passes it on: its txid", body = String),
        (status = 400, description = "No JSON object or form with `data`, or no transaction in it"),
        (status = 422, description = "The node refuses it; the node's own reason is in the text"),
        (status = 503, description = "The node is away"),
    ),
)]
pub(in crate::http) async fn forward_tx(
    State(cx): Cx,
    headers: HeaderMap,
    body: Result<Bytes, ApiError>,
) -> Result<Json<String>, Refusal> {
    let Bytes(body) = body.map_err(|error| {
        let (status, detail) = error.into_parts();
        Refusal::new(status, detail)
    })?;
    let ForwardTx { data } = read(&headers, &body)?;
    let tx: Transaction = deserialize_hex(&data)
        .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, format!("data is no transaction: {e}")))?;
    let sent = cx.chain.broadcast(&tx).await;
    let txid = sent.map_err(|error| match error {
        BroadcastError::Rejected(reason) => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the node refuses it: {reason}"),
        ),
        BroadcastError::Source(error) => error.into(),
    })?;
    Ok(Json(txid.to_string()))
}

/// As an Oracle reads it: a form where it is announced as one, JSON otherwise.
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
    read.map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, format!("expected an object with data: {e}")))
}
