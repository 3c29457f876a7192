//! `GET /tx/{txid}`: where a transaction is.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, BlockHash, Transaction, Txid};
use hyper::StatusCode;
use sdk_relay_chain::{BlockRef, ChainSource, OUTPUTS_TRIED, SourceError};
use sdk_relay_detect::Detection;
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_protocol::btc;
use sdk_relay_protocol::http::{TxDetails, TxStatus};
use sdk_relay_telemetry::clock::unix_now;
use serde::Deserialize;

/// The block of `GET /tx/{txid}`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TxQuery {
    /// Hash of the block of the transaction, such as the `block_hash` of a payment. A node without `txindex` needs it
    /// for a transaction whose outputs are spent.
    #[param(
        pattern = "^[0-9a-fA-F]{64}$",
        min_length = 64,
        max_length = 64,
        nullable = false,
        example = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    )]
    block_hash: Option<String>,
}

/// Returns where a transaction is: in the mempool, in a block of the best chain, or replaced by another one.
#[utoipa::path(
    get,
    path = "/tx/{txid}",
    operation_id = "getTransaction",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    params((
        "txid" = String, Path, description = "Id of the transaction, 64 hex digits",
        pattern = "^[0-9a-fA-F]{64}$", min_length = 64, max_length = 64,
    ), TxQuery),
    responses(
        (status = 200, description = "The transaction", body = TxDetails),
        (status = 404, description = "The node does not find it; the text says when it does"),
        (status = 422, description = "`txid` or `block_hash` is not a hash"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn details(
    State(chain): State<Arc<dyn ChainSource>>,
    State(detection): State<Detection>,
    txid: Result<Path<String>, PathRejection>,
    query: Result<Query<TxQuery>, QueryRejection>,
) -> Result<Json<TxDetails>, ApiError> {
    let Path(txid) = txid?;
    let Query(TxQuery { block_hash }) = query?;
    let txid: Txid = txid
        .parse()
        .map_err(|_| ApiError::field("txid", "expected a transaction id of 64 hex digits"))?;
    let block = block_hash.map(|hash| hash.parse::<BlockHash>());
    let block = block
        .transpose()
        .map_err(|_| ApiError::field("block_hash", "expected a block hash of 64 hex digits"))?;
    find(&*chain, &detection, txid, block).await.map(Json)
}

async fn find(
    chain: &dyn ChainSource,
    detection: &Detection,
    txid: Txid,
    block: Option<BlockHash>,
) -> Result<TxDetails, ApiError> {
    if let Some(waiting) = chain.transactions(&[txid], Vec::new()).await?.into_iter().next() {
        let fee = sdk_relay_chain::event::fee(&waiting.tx, &waiting.prevouts);
        return Ok(found(&waiting.tx, None, fee));
    }
    match chain.confirmed(txid, block).await {
        Ok(Some(confirmed)) => {
            let block = Some((confirmed.block, confirmed.confirmations));
            return Ok(found(&confirmed.tx, block, confirmed.fee));
        }
        Ok(None) => {}
        Err(SourceError::Pruned(hash)) => {
            let problem = format!("the node has pruned block {hash}, which would have the transaction");
            return Err(ApiError::new(StatusCode::NOT_FOUND, problem));
        }
        Err(error) => return Err(error.into()),
    }
    let replaced_by = detection.replaced_by(&txid).ok_or_else(|| not_found(txid, block))?;
    Ok(TxDetails {
        txid: txid.to_string(),
        status: TxStatus::Replaced,
        confirmations: 0,
        block_height: None,
        block_hash: None,
        fee: None,
        fee_sats: None,
        size: None,
        vsize: None,
        replaced_by: Some(replaced_by.to_string()),
        hex: None,
        timestamp: unix_now(),
    })
}

fn not_found(txid: Txid, block: Option<BlockHash>) -> ApiError {
    let problem = match block {
        Some(block) => format!("{txid} is not in the mempool, and not in block {block} of the best chain"),
        None => format!(
            "{txid} is not in the mempool. A confirmed transaction is found with its block (?block_hash=), while one of its first {OUTPUTS_TRIED} outputs is unspent, or if the node has txindex=1"
        ),
    };
    ApiError::new(StatusCode::NOT_FOUND, problem)
}

fn found(tx: &Transaction, block: Option<(BlockRef, u32)>, fee: Option<Amount>) -> TxDetails {
    let at = block.map(|(at, _)| at);
    let fee_sats = fee.map(Amount::to_sat);
    TxDetails {
        txid: tx.compute_txid().to_string(),
        status: if at.is_some() {
            TxStatus::Confirmed
        } else {
            TxStatus::Mempool
        },
        confirmations: block.map_or(0, |(_, confirmations)| confirmations),
        block_height: at.map(|at| at.height),
        block_hash: at.map(|at| at.hash.to_string()),
        fee: fee_sats.map(btc),
        fee_sats,
        size: Some(tx.total_size() as u64),
        vsize: Some(tx.vsize() as u64),
        replaced_by: None,
        hex: Some(serialize_hex(tx)),
        timestamp: unix_now(),
    }
}
