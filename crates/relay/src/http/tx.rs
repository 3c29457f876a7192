//! `POST /tx`: sends a transaction to the network.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use bitcoin::Transaction;
use bitcoin::consensus::encode::deserialize_hex;
use sdk_relay_chain::BroadcastError;
use sdk_relay_protocol::http::{TxRequest, TxResponse};

use super::Cx;
use super::problem::ApiError;
use crate::clock::unix_now;

/// `sendrawtransaction`. 422 with the node's own reason when it refuses.
pub(super) async fn broadcast(
    State(cx): Cx,
    body: Result<Json<TxRequest>, JsonRejection>,
) -> Result<Json<TxResponse>, ApiError> {
    let Json(TxRequest { hex }) = body?;
    let tx: Transaction = deserialize_hex(&hex).map_err(|e| ApiError::field("hex", format!("no transaction: {e}")))?;
    let txid = cx.chain.broadcast(&tx).await.map_err(|error| match error {
        BroadcastError::Rejected(reason) => ApiError::field("hex", format!("the node refuses it: {reason}")),
        BroadcastError::Source(error) => error.into(),
    })?;
    Ok(Json(TxResponse {
        txid: txid.to_string(),
        timestamp: unix_now(),
    }))
}
