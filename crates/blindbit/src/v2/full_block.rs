//! `GET full-block/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::{BlindbitFullBlock, FullTx, LightOutput};
use sdk_relay_store::index::{IndexedBlock, IndexedTx};

use crate::answer::{Refusal, answer};
use crate::block::{Found, Height, hex, with_spent};
use crate::state::HandlesState;

/// Returns the eligible transactions of a block with their taproot inputs and outputs.
#[utoipa::path(
    get,
    path = "/blindbit/v2/full-block/{height}",
    operation_id = "blindbitV2FullBlock",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The transactions, in block order", body = BlindbitFullBlock),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn full_block(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, full_block) = with_spent(&handles, height, |found| Ok((found.freshness(), listed(found)))).await?;
    answer(&handles, &request_headers, freshness, &full_block)
}

fn listed(found: &Found) -> BlindbitFullBlock {
    BlindbitFullBlock {
        block_identifier: found.identifier(),
        index: found
            .block
            .transactions
            .iter()
            .map(|tx| full(&found.block, tx))
            .collect(),
    }
}

fn full(block: &IndexedBlock, tx: &IndexedTx) -> FullTx {
    let outputs = tx.outputs().map(|output| LightOutput {
        vout: output.vout,
        amount: output.amount.to_sat(),
        pubkey: hex(&output.key),
    });
    let inputs = block.spent_by(tx).iter();
    FullTx {
        txid: tx.txid.to_string(),
        tweak: hex(&tx.tweak),
        // The txid in display order, then the vout.
        inputs: inputs
            .map(|s| format!("{}{:08x}", s.outpoint.txid, s.outpoint.vout))
            .collect(),
        utxos: outputs.collect(),
    }
}
