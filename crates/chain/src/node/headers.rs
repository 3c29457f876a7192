//! Headers of blocks, which a pruned node has too.

use bitcoin::BlockHash;
use bitcoin::block::Header;
use bitcoin::consensus::encode::deserialize_hex;
use serde_json::{Value, json};

use super::block::block_error;
use crate::rpc::{RpcClient, RpcError, ServerError, code};
use crate::source::SourceError;

pub(super) async fn header(rpc: &RpcClient, hash: BlockHash) -> Result<Header, SourceError> {
    let hex: String = rpc
        .call("getblockheader", json!([hash, false]))
        .await
        .map_err(|error| block_error(hash, error))?;
    decoded(&hex)
}

/// In two batches: the hashes, then the headers.
pub(super) async fn headers(rpc: &RpcClient, start: u32, count: u32) -> Result<Vec<Header>, SourceError> {
    let heights = start..start.saturating_add(count);
    let hashes = rpc
        .batch(heights.map(|height| ("getblockhash", json!([height]))).collect())
        .await?;
    let mut calls = Vec::with_capacity(hashes.len());
    for outcome in hashes {
        match outcome {
            Ok(hash) => calls.push(("getblockheader", json!([hash, false]))),
            // Above the tip.
            Err(error) if error.code == code::INVALID_PARAMETER => break,
            Err(error) => return Err(failed(rpc, "getblockhash", error)),
        }
    }
    let header = |outcome| match outcome {
        Ok(Value::String(hex)) => decoded(&hex),
        Ok(_) => Err(RpcError::malformed("getblockheader", "expected a text").into()),
        Err(error) => Err(failed(rpc, "getblockheader", error)),
    };
    rpc.batch(calls).await?.into_iter().map(header).collect()
}

fn decoded(hex: &str) -> Result<Header, SourceError> {
    deserialize_hex(hex).map_err(|error| RpcError::malformed("getblockheader", error).into())
}

fn failed(rpc: &RpcClient, method: &'static str, error: ServerError) -> SourceError {
    RpcError::from_server(rpc.at(), method, error).into()
}
