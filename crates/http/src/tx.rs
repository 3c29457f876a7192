//! `POST /tx`: broadcasts a transaction.

use std::sync::Arc;

use axum::extract::State;
use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize_hex;
use sdk_relay_chain::{BroadcastError, ChainSource};
use sdk_relay_echo::reason;
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_protocol::http::{TxRequest, TxResponse};
use sdk_relay_telemetry::clock::unix_now;

/// Broadcasts a transaction: `sendrawtransaction` of the node.
#[utoipa::path(
    post,
    path = "/tx",
    operation_id = "sendTransaction",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    request_body = TxRequest,
    responses(
        (status = 200, description = "The node has accepted the transaction and broadcasts it", body = TxResponse),
        (status = 422, description = "`hex` is not a transaction, or the node rejects it; the text contains the reason of the node"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn broadcast(
    State(chain): State<Arc<dyn ChainSource>>,
    Body(TxRequest { hex }): Body<TxRequest>,
) -> Result<Json<TxResponse>, ApiError> {
    let tx: Transaction = deserialize_hex(&hex)
        .map_err(|e| ApiError::field("hex", format!("not a transaction: {}", reason(&e.to_string()))))?;
    let txid = chain.broadcast(&tx).await.map_err(|error| match error {
        BroadcastError::Rejected(rejection) => ApiError::field(
            "hex",
            format!("the node rejects the transaction: {}", reason(&rejection)),
        ),
        BroadcastError::Source(error) => error.into(),
    })?;
    Ok(Json(TxResponse {
        txid: txid.to_string(),
        timestamp: unix_now(),
    }))
}
