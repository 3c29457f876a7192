//! Finds a confirmed transaction: `getrawtransaction`, and without `txindex` its block by `gettxout`.

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{BlockHash, Txid};
use serde::Deserialize;
use serde_json::json;

use super::amount::Btc;
use super::block::block_error;
use crate::event::BlockRef;
use crate::rpc::{RpcClient, RpcError, code};
use crate::source::{ConfirmedTx, OUTPUTS_TRIED, SourceError};

/// Reply of `getrawtransaction` with verbosity 2.
#[derive(Deserialize)]
struct Verbose {
    hex: String,
    #[serde(default)]
    fee: Option<Btc>,
    #[serde(default)]
    blockhash: Option<BlockHash>,
}

/// Reply of `getblockheader`.
#[derive(Deserialize)]
struct Header {
    height: u32,
    /// -1 where the block is not in the best chain.
    confirmations: i64,
}

/// Reply of `gettxout` for an unspent output.
#[derive(Deserialize)]
struct Unspent {
    bestblock: BlockHash,
    confirmations: u32,
}

pub(super) async fn in_block(rpc: &RpcClient, txid: Txid, hash: BlockHash) -> Result<Option<ConfirmedTx>, SourceError> {
    let Some(header) = best_chain(rpc, hash).await? else {
        return Ok(None);
    };
    match verbose(rpc, json!([txid, 2, hash])).await {
        Ok(Some(found)) => confirmed(found, hash, header).map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(block_error(hash, error)),
    }
}

pub(super) async fn anywhere(rpc: &RpcClient, txid: Txid) -> Result<Option<ConfirmedTx>, SourceError> {
    if let Some(found) = verbose(rpc, json!([txid, 2])).await? {
        // Without a block it is in the mempool.
        let Some(hash) = found.blockhash else { return Ok(None) };
        let header = best_chain(rpc, hash).await?;
        return header.map(|header| confirmed(found, hash, header)).transpose();
    }
    match block_of_output(rpc, txid).await? {
        Some(hash) => in_block(rpc, txid, hash).await,
        None => Ok(None),
    }
}

/// The block of the transaction, from one of its outputs that is unspent.
async fn block_of_output(rpc: &RpcClient, txid: Txid) -> Result<Option<BlockHash>, SourceError> {
    let calls: Vec<_> = (0..OUTPUTS_TRIED)
        .map(|vout| ("gettxout", json!([txid, vout, false])))
        .collect();
    for outcome in rpc.batch(calls).await? {
        let reply = outcome.map_err(|error| RpcError::from_server(rpc.at(), "gettxout", error))?;
        let output: Option<Unspent> =
            serde_json::from_value(reply).map_err(|error| RpcError::malformed("gettxout", error))?;
        let Some(Unspent {
            bestblock,
            confirmations,
        }) = output
        else {
            continue;
        };
        let Some(tip) = best_chain(rpc, bestblock).await? else {
            return Ok(None);
        };
        let height = (tip.height + 1).saturating_sub(confirmations);
        // A reorganisation in between is noticed: the transaction is not in the block that is at this height now.
        return match rpc.call("getblockhash", json!([height])).await {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.server().is_some_and(|e| e.code == code::INVALID_PARAMETER) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    Ok(None)
}

async fn verbose(rpc: &RpcClient, params: serde_json::Value) -> Result<Option<Verbose>, RpcError> {
    match rpc.call("getrawtransaction", params).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.server().is_some_and(|e| e.code == code::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The header of a block; `None` if the node does not know it, or has it in another branch.
async fn best_chain(rpc: &RpcClient, hash: BlockHash) -> Result<Option<Header>, SourceError> {
    match rpc.call::<Header>("getblockheader", json!([hash])).await {
        Ok(header) => Ok((header.confirmations > 0).then_some(header)),
        Err(error) if error.server().is_some_and(|e| e.code == code::NOT_FOUND) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn confirmed(found: Verbose, hash: BlockHash, header: Header) -> Result<ConfirmedTx, SourceError> {
    let tx = deserialize_hex(&found.hex).map_err(|error| RpcError::malformed("getrawtransaction", error))?;
    Ok(ConfirmedTx {
        tx,
        block: BlockRef {
            height: header.height,
            hash,
        },
        confirmations: u32::try_from(header.confirmations).unwrap_or(u32::MAX),
        fee: found.fee.map(|fee| fee.0),
    })
}
