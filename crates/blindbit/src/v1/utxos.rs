//! `GET utxos/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_bip352::TaprootOutput;
use sdk_relay_protocol::blindbit::BlindbitUtxo;

use crate::answer::{Freshness, Refusal, answer};
use crate::block::{Found, Height, at, hex};
use crate::state::HandlesState;

/// Returns the taproot outputs of the eligible transactions of a block, including spent ones, which a wallet needs to
/// count k.
#[utoipa::path(
    get,
    path = "/blindbit/v1/utxos/{height}",
    operation_id = "blindbitV1Utxos",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The outputs, in block order", body = Vec<BlindbitUtxo>),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn utxos(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, utxos) = at(&handles, height, |found| {
        Ok((Freshness::UntilNextBlock, listed(found, &found.spent()?)))
    })
    .await?;
    answer(&handles, &request_headers, freshness, &utxos)
}

fn listed(found: &Found, spent: &[bool]) -> Vec<BlindbitUtxo> {
    let block = &found.block;
    let outputs = block
        .transactions
        .iter()
        .flat_map(|tx| tx.outputs().map(|output| (tx.txid, output)));
    let utxo = |((txid, output), spent): ((bitcoin::Txid, TaprootOutput), &bool)| BlindbitUtxo {
        txid: txid.to_string(),
        vout: output.vout,
        value: output.amount.to_sat(),
        scriptpubkey: format!("5120{}", hex(&output.key)),
        block_height: block.height,
        block_hash: block.hash.to_string(),
        timestamp: u64::from(block.time),
        spent: *spent,
    };
    outputs.zip(spent).map(utxo).collect()
}
