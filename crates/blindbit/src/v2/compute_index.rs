//! `GET compute-index/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::{BlindbitComputeIndex, ComputeItem};
use sdk_relay_store::index::IndexedTx;

use crate::answer::{Refusal, answer};
use crate::block::{Found, Height, at, hex};
use crate::state::HandlesState;

/// Returns the eligible transactions of a block with their tweaks and the first bytes of their outputs, to find
/// payments.
#[utoipa::path(
    get,
    path = "/blindbit/v2/compute-index/{height}",
    operation_id = "blindbitV2ComputeIndex",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The transactions, in block order", body = BlindbitComputeIndex),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn compute_index(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, compute_index) = at(&handles, height, |found| Ok((found.freshness(), listed(found)))).await?;
    answer(&handles, &request_headers, freshness, &compute_index)
}

fn listed(found: &Found) -> BlindbitComputeIndex {
    BlindbitComputeIndex {
        block_identifier: found.identifier(),
        index: found.block.transactions.iter().map(item).collect(),
    }
}

fn item(tx: &IndexedTx) -> ComputeItem {
    ComputeItem {
        txid: tx.txid.to_string(),
        tweak: hex(&tx.tweak),
        outputs: tx.keys.iter().map(|key| hex(&key[..8])).collect(),
    }
}
