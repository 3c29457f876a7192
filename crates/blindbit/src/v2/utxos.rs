//! `GET utxos/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::{BlindbitOutputs, Output};

use crate::answer::{Refusal, answer};
use crate::block::{Found, Height, at, hex};
use crate::state::HandlesState;

/// Returns the taproot outputs of the eligible transactions of a block, including spent ones.
#[utoipa::path(
    get,
    path = "/blindbit/v2/utxos/{height}",
    operation_id = "blindbitV2Utxos",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The outputs, in block order", body = BlindbitOutputs),
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
    let (freshness, utxos) = at(&handles, height, |found| Ok((found.freshness(), listed(found)))).await?;
    answer(&handles, &request_headers, freshness, &utxos)
}

fn listed(found: &Found) -> BlindbitOutputs {
    BlindbitOutputs {
        block_identifier: found.identifier(),
        index: outputs(found),
    }
}

fn outputs(found: &Found) -> Vec<Output> {
    let txs = found.block.transactions.iter();
    let outputs = txs.flat_map(|tx| {
        tx.outputs().map(|output| Output {
            txid: tx.txid.to_string(),
            vout: output.vout,
            amount: output.amount.to_sat(),
            pubkey: hex(&output.key),
        })
    });
    outputs.collect()
}
