//! `GET spent-outputs/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitSpentOutputs;

use crate::answer::{Refusal, answer};
use crate::block::{Found, Height, hex, with_spent};
use crate::state::HandlesState;

/// Returns the taproot outputs that a block spends.
#[utoipa::path(
    get,
    path = "/blindbit/v2/spent-outputs/{height}",
    operation_id = "blindbitV2SpentOutputs",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "First 8 bytes of the x-only key of each output", body = BlindbitSpentOutputs),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn spent_outputs(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, spent_outputs) =
        with_spent(&handles, height, |found| Ok((found.freshness(), listed(found)))).await?;
    answer(&handles, &request_headers, freshness, &spent_outputs)
}

fn listed(found: &Found) -> BlindbitSpentOutputs {
    BlindbitSpentOutputs {
        block_identifier: found.identifier(),
        index: found.block.spent.iter().map(|s| hex(&s.key_prefix)).collect(),
    }
}
