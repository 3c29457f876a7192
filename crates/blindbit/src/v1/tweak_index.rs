//! `GET tweak-index/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::answer::{Refusal, answer};
use crate::block::{DustLimit, Height, at};
use crate::state::HandlesState;

/// Returns the tweaks of all eligible transactions of a block.
#[utoipa::path(
    get,
    path = "/blindbit/v1/tweak-index/{height}",
    operation_id = "blindbitV1TweakIndex",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
        ("dustLimit" = Option<u64>, Query, nullable = false, description = "In satoshis: excludes transactions whose largest output is below it", minimum = 0),
    ),
    responses(
        (status = 200, description = "Tweak of each transaction, 33 bytes in hex, in block order", body = Vec<String>),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height or the dust limit is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn tweak_index(
    State(handles): HandlesState,
    Height(height): Height,
    limit: DustLimit,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, tweaks) = at(&handles, height, move |found| {
        Ok((found.freshness(), found.tweaks(&limit)))
    })
    .await?;
    answer(&handles, &request_headers, freshness, &tweaks)
}
