//! `GET spent-index/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitSpentIndex;

use crate::answer::{Refusal, answer};
use crate::block::{Height, hex, with_spent};
use crate::filter::spent_hashes;
use crate::state::HandlesState;

/// Returns the taproot outputs that a block spends, as short hashes. Only a client that knows an output can recognise
/// its hash.
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
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn spent_index(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let read = with_spent(&handles, height, |found| {
        let data = spent_hashes(&found.block).map(|hash| hex(&hash)).collect();
        let block_hash = found.block.hash.to_string();
        Ok((found.freshness(), BlindbitSpentIndex { block_hash, data }))
    });
    let (freshness, spent) = read.await?;
    answer(&handles, &request_headers, freshness, &spent)
}
