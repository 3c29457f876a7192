//! `GET spent-index/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitSpentIndex;

use super::super::super::Cx;
use super::super::answer::{Refusal, answer};
use super::super::block::{Height, hex, with_spent};
use super::super::filter::spent_hashes;

/// Which taproot outputs a block spends, as short hashes that only who knows an output can tell.
#[utoipa::path(
    get,
    path = "/blindbit/v1/spent-index/{height}",
    operation_id = "blindbitV1SpentIndex",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The short hashes", body = BlindbitSpentIndex),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 400, description = "The height is no number"),
        (status = 404, description = "There is no such block, or the index begins above it"),
        (status = 503, description = "The relay keeps no tweak index, or it has not come to this block yet"),
    ),
)]
pub(in crate::http) async fn spent_index(
    State(cx): Cx,
    Height(height): Height,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    let read = with_spent(&cx, height, |found| {
        let data = spent_hashes(&found.block).map(|hash| hex(&hash)).collect();
        let block_hash = found.block.hash.to_string();
        Ok((found.keeps(), BlindbitSpentIndex { block_hash, data }))
    });
    let (keeps, spent) = read.await?;
    answer(&cx, &asked, keeps, &spent)
}
