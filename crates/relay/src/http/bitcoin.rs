//! `GET /bitcoin/info` and `GET /bitcoin/blocks/{hash}`: asked of the node at each request, never remembered.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use bitcoin::BlockHash;
use sdk_relay_chain::SourceError;
use sdk_relay_protocol::http::{BitcoinInfo, BlockDetails};
use serde::de::DeserializeOwned;

use super::Cx;
use super::problem::ApiError;
use crate::clock::unix_now;

/// `getblockchaininfo`, `getnetworkinfo` and `getmempoolinfo`.
pub(super) async fn info(State(cx): Cx) -> Result<Json<BitcoinInfo>, ApiError> {
    let info = cx.chain.info().await?;
    Ok(Json(BitcoinInfo {
        blockchain_info: read("getblockchaininfo", info.blockchain)?,
        network_info: read("getnetworkinfo", info.network)?,
        mempool_info: read("getmempoolinfo", info.mempool)?,
        timestamp: unix_now(),
    }))
}

/// `getblock HASH 1`.
pub(super) async fn block(
    State(cx): Cx,
    block_hash: Result<Path<String>, PathRejection>,
) -> Result<Json<BlockDetails>, ApiError> {
    let Path(block_hash) = block_hash?;
    let hash: BlockHash = block_hash
        .parse()
        .map_err(|_| ApiError::field("block_hash", "expected a block hash, 64 hex digits"))?;
    let mut block: BlockDetails = read("getblock", cx.chain.block_info(hash).await?)?;
    block.timestamp = unix_now();
    Ok(Json(block))
}

fn read<T: DeserializeOwned>(what: &str, reply: serde_json::Value) -> Result<T, ApiError> {
    serde_json::from_value(reply).map_err(|e| {
        ApiError::from(SourceError::Malformed {
            what: format!("the reply to {what}"),
            reason: e.to_string(),
        })
    })
}
