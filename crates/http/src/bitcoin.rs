//! `GET /bitcoin/info`, `GET /bitcoin/blocks/{hash}` and `GET /bitcoin/first-block`: requested from the node each
//! time; of the last one only times of buried blocks are kept.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use bitcoin::BlockHash;
use hyper::StatusCode;
use sdk_relay_chain::{ChainSource, SourceError};
use sdk_relay_echo::parser_reason;
use sdk_relay_http_common::{ApiError, Json, query};
use sdk_relay_protocol::http::{BitcoinInfo, BlockDetails, FirstBlock};
use sdk_relay_service::{FirstBlockError, FirstBlocks};
use sdk_relay_telemetry::clock::unix_now;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Returns `getblockchaininfo`, `getnetworkinfo` and `getmempoolinfo` of the node.
#[utoipa::path(
    get,
    path = "/bitcoin/info",
    operation_id = "getBitcoinInfo",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "Current state of the node", body = BitcoinInfo),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn info(State(chain): State<Arc<dyn ChainSource>>) -> Result<Json<BitcoinInfo>, ApiError> {
    let info = chain.info().await?;
    Ok(Json(BitcoinInfo {
        blockchain_info: read("getblockchaininfo", info.blockchain)?,
        network_info: read("getnetworkinfo", info.network)?,
        mempool_info: read("getmempoolinfo", info.mempool)?,
        timestamp: unix_now(),
    }))
}

/// Returns a block: `getblock HASH 1` of the node.
#[utoipa::path(
    get,
    path = "/bitcoin/blocks/{block_hash}",
    operation_id = "getBlock",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    params((
        "block_hash" = String, Path, description = "Hash of the block, 64 hex digits",
        pattern = "^[0-9a-fA-F]{64}$", min_length = 64, max_length = 64,
        example = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    )),
    responses(
        (status = 200, description = "The block", body = BlockDetails),
        (status = 400, description = "The path is not UTF-8"),
        (status = 404, description = "The node does not know the block, or has pruned it"),
        (status = 422, description = "The hash is not 64 hex digits"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn block(
    State(chain): State<Arc<dyn ChainSource>>,
    block_hash: Result<Path<String>, PathRejection>,
) -> Result<Json<BlockDetails>, ApiError> {
    let Path(block_hash) = block_hash?;
    let hash: BlockHash = block_hash
        .parse()
        .map_err(|_| ApiError::field("block_hash", "expected a block hash of 64 hex digits"))?;
    let mut block: BlockDetails = read("getblock", chain.block_info(hash).await?)?;
    block.timestamp = unix_now();
    Ok(Json(block))
}

/// The time of `GET /bitcoin/first-block`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FirstBlockQuery {
    /// Unix seconds, at most the present time.
    #[param(nullable = false, required = true, example = 1_704_067_200)]
    #[serde(default, deserialize_with = "query::number")]
    since: Option<u64>,
}

/// Returns the first block that has to be scanned for payments since a time. It is some hours older than the time,
/// because the times in blocks are inexact; no payment is missed.
#[utoipa::path(
    get,
    path = "/bitcoin/first-block",
    operation_id = "getFirstBlock",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    params(FirstBlockQuery),
    responses(
        (status = 200, description = "The block; the genesis block for a time before it", body = FirstBlock),
        (status = 400, description = "The query cannot be parsed"),
        (status = 409, description = "`since` is in the future"),
        (status = 422, description = "`since` is missing"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn first_block(
    State(first_blocks): State<Arc<FirstBlocks>>,
    query: Result<Query<FirstBlockQuery>, QueryRejection>,
) -> Result<Json<FirstBlock>, ApiError> {
    let Query(FirstBlockQuery { since }) = query?;
    let since = since.ok_or_else(|| ApiError::field("since", "missing: expected a time in Unix seconds"))?;
    let first = first_blocks.since(since).await.map_err(|error| match error {
        FirstBlockError::Future { .. } => ApiError::new(StatusCode::CONFLICT, error.to_string()),
        FirstBlockError::Source(error) => error.into(),
        FirstBlockError::TooLong => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })?;
    Ok(Json(FirstBlock {
        height: first.height,
        hash: first.hash.to_string(),
        since,
        timestamp: unix_now(),
    }))
}

fn read<T: DeserializeOwned>(what: &str, reply: serde_json::Value) -> Result<T, ApiError> {
    serde_json::from_value(reply).map_err(|e| {
        ApiError::from(SourceError::Malformed {
            what: format!("the reply to {what}"),
            reason: parser_reason(&e.to_string()),
        })
    })
}
