//! Blocks with their prevouts: over REST if the node supports it, else with `getblock` verbosity 3, which is fifty
//! times slower.

use std::sync::{Mutex, PoisonError};

use bitcoin::{Block, BlockHash, TxOut, consensus};
use bytes::Bytes;
use hyper::StatusCode;
use sdk_relay_platform::blocking;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{amount::JsonOutput, spent};
use crate::{
    event::BlockWithPrevouts,
    joined::joined,
    rpc::{RpcClient, RpcError, code},
    source::SourceError,
};

/// Blocks fetched concurrently. Each takes two requests, and some of [`crate::rpc::MAX_IN_FLIGHT`] must remain for
/// other callers. More concurrent reads of one disk are not faster.
const MAX_BLOCK_FETCHES: usize = 3;

/// Fetches blocks from one node.
pub(super) struct BlockFetcher {
    rpc: RpcClient,
    turns: Semaphore,
    /// The interface that the node supports, and the number of connection breaks when it was determined.
    api: Mutex<Option<(BlockApi, u64)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockApi {
    /// `/rest/block` and `/rest/spenttxouts`.
    Rest,
    /// `getblock` verbosity 0 and 3.
    Rpc,
}

/// Outcome of a request for a block over REST.
enum RestBlock {
    Found(Bytes, Bytes),
    /// The node does not support it (any more).
    NotOffered,
}

impl BlockFetcher {
    pub(super) fn new(rpc: RpcClient) -> Self {
        Self {
            rpc,
            turns: Semaphore::new(MAX_BLOCK_FETCHES),
            api: Mutex::new(None),
        }
    }

    pub(super) async fn block(&self, hash: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        let _turn = self.turns.acquire().await.map_err(|e| malformed(hash, e))?;
        if self.api().await? == BlockApi::Rest {
            match self.over_rest(hash).await? {
                RestBlock::Found(block, spent) => return decoded(hash, move || over_rest(&block, &spent)).await,
                RestBlock::NotOffered => self.remember(BlockApi::Rpc),
            }
        }
        let (raw, verbose) = tokio::try_join!(
            self.rpc.call::<String>("getblock", json!([hash, 0])),
            self.rpc.call::<VerboseBlock>("getblock", json!([hash, 3])),
        )
        .map_err(|e| block_error(hash, e))?;
        decoded(hash, move || over_rpc(&raw, verbose)).await
    }

    /// The interface to use. It is determined at first use and after each break of the connection.
    async fn api(&self) -> Result<BlockApi, SourceError> {
        let breaks = self.rpc.breaks();
        let remembered = *self.api.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((api, _)) = remembered.filter(|(_, then)| *then == breaks) {
            return Ok(api);
        }
        // An invalid hash: a node that supports the path answers 400, any other answers 404.
        let (status, body) = self.rpc.rest("/rest/spenttxouts/x.bin").await?;
        let api = match status {
            StatusCode::BAD_REQUEST => BlockApi::Rest,
            StatusCode::SERVICE_UNAVAILABLE => return Err(warming(self.rpc.at(), &body)),
            _ => BlockApi::Rpc,
        };
        if remembered.is_none_or(|(before, _)| before != api) {
            match api {
                BlockApi::Rest => tracing::debug!(node = self.rpc.at(), "reading blocks over REST"),
                BlockApi::Rpc => tracing::warn!(
                    node = self.rpc.at(),
                    "the node does not offer /rest/spenttxouts: reading blocks with getblock, which is much slower; set rest=1 on the node \
                     (Bitcoin Core 30, Bitcoin Knots 29.4, or newer)"
                ),
            }
        }
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = Some((api, breaks));
        Ok(api)
    }

    fn remember(&self, api: BlockApi) {
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = Some((api, self.rpc.breaks()));
    }

    async fn over_rest(&self, hash: BlockHash) -> Result<RestBlock, SourceError> {
        let block = format!("/rest/block/{hash}.bin");
        let spent = format!("/rest/spenttxouts/{hash}.bin");
        let (block, spent) = tokio::try_join!(self.rpc.rest(&block), self.rpc.rest(&spent))?;
        for (what, (status, body)) in [("block", &block), ("spenttxouts", &spent)] {
            match *status {
                StatusCode::OK => {}
                StatusCode::SERVICE_UNAVAILABLE => return Err(warming(self.rpc.at(), body)),
                StatusCode::NOT_FOUND if body.is_empty() => return Ok(RestBlock::NotOffered),
                status => {
                    // The texts are those of `rest_block` and `rest_spent_txouts` in `src/rest.cpp`.
                    let text = crate::rpc::excerpt(body);
                    return Err(if text.contains("pruned") {
                        SourceError::Pruned(hash)
                    } else if text.ends_with("not found") {
                        SourceError::NoSuchBlock(hash)
                    } else {
                        malformed(hash, format!("/rest/{what}: HTTP {status}: {text}"))
                    });
                }
            }
        }
        Ok(RestBlock::Found(block.1, spent.1))
    }
}

/// Maps an error of `getblock` or `getblockheader`.
pub(super) fn block_error(hash: BlockHash, error: RpcError) -> SourceError {
    match error.server() {
        Some(server) if server.code == code::NOT_FOUND => SourceError::NoSuchBlock(hash),
        Some(server) if server.code == code::MISC && server.message.contains("pruned") => SourceError::Pruned(hash),
        _ => error.into(),
    }
}

#[derive(Deserialize)]
struct VerboseBlock {
    tx: Vec<VerboseTx>,
}

#[derive(Deserialize)]
struct VerboseTx {
    vin: Vec<VerboseInput>,
}

#[derive(Deserialize)]
struct VerboseInput {
    /// Absent for a coinbase, and if the node has no undo data.
    prevout: Option<JsonOutput>,
}

fn over_rest(block: &[u8], spent: &[u8]) -> Result<BlockWithPrevouts, String> {
    let prevouts = spent::parse(spent).map_err(|e| format!("prevouts: {e}"))?;
    with_prevouts(block, prevouts)
}

fn over_rpc(raw: &str, verbose: VerboseBlock) -> Result<BlockWithPrevouts, String> {
    let block: Vec<u8> = bitcoin::hex::FromHex::from_hex(raw).map_err(|e| format!("{e}"))?;
    let inputs = |tx: VerboseTx| {
        tx.vin
            .into_iter()
            .filter_map(|input| input.prevout)
            .map(TxOut::from)
            .collect()
    };
    with_prevouts(&block, verbose.tx.into_iter().map(inputs).collect())
}

fn with_prevouts(raw: &[u8], prevouts: Vec<Vec<TxOut>>) -> Result<BlockWithPrevouts, String> {
    let block: Block = consensus::deserialize(raw).map_err(|e| e.to_string())?;
    spent::check(&block, &prevouts).map_err(|e| e.to_string())?;
    Ok(BlockWithPrevouts {
        block,
        prevouts,
        size: raw.len(),
    })
}

/// Decodes on a blocking thread: a full block takes tens of milliseconds.
async fn decoded(
    hash: BlockHash,
    decode: impl FnOnce() -> Result<BlockWithPrevouts, String> + Send + 'static,
) -> Result<BlockWithPrevouts, SourceError> {
    let decoded = joined(blocking::spawn(decode).await);
    let decoded = decoded.ok_or_else(|| malformed(hash, "the runtime is shutting down"))?;
    let block = decoded.map_err(|reason| malformed(hash, reason))?;
    let got = block.block.block_hash();
    if got == hash {
        Ok(block)
    } else {
        Err(malformed(hash, format!("the node sent {got}")))
    }
}

fn malformed(hash: BlockHash, reason: impl ToString) -> SourceError {
    SourceError::Malformed {
        what: format!("block {hash}"),
        reason: reason.to_string(),
    }
}

fn warming(at: &str, body: &[u8]) -> SourceError {
    SourceError::Warming {
        at: at.to_owned(),
        reason: crate::rpc::excerpt(body),
    }
}
