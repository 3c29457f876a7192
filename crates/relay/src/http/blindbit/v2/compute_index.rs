//! `GET compute-index/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::{BlindbitComputeIndex, ComputeItem};
use sdk_relay_store::index::IndexedTx;

use super::super::super::Cx;
use super::super::answer::{Refusal, answer};
use super::super::block::{Found, Height, at, hex};

/// The eligible transactions of a block with what tells whether a payment is in them.
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
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 400, description = "The height is no number"),
        (status = 404, description = "There is no such block, or the index begins above it"),
        (status = 503, description = "The relay keeps no tweak index, or it has not come to this block yet"),
    ),
)]
pub(in crate::http) async fn compute_index(
    State(cx): Cx,
    Height(height): Height,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeps, compute_index) = at(&cx, height, |found| Ok((found.keeps(), listed(found)))).await?;
    answer(&cx, &asked, keeps, &compute_index)
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
