//! `GET block-hash/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitBlockHash;

use crate::answer::{Refusal, answer};
use crate::block::{Height, hash_at};
use crate::state::HandlesState;

/// Returns the hash of the block at a height.
#[utoipa::path(
    get,
    path = "/blindbit/v1/block-hash/{height}",
    operation_id = "blindbitV1BlockHash",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The hash", body = BlindbitBlockHash),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn block_hash(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, hash) = hash_at(&handles, height).await?;
    let block_hash = hash.to_string();
    answer(&handles, &request_headers, freshness, &BlindbitBlockHash { block_hash })
}
