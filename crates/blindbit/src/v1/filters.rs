//! `GET filter/new-utxos/H` and `GET filter/spent/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitFilter;

use crate::answer::{Refusal, answer};
use crate::block::{Height, at, with_spent};
use crate::filter;
use crate::state::HandlesState;

/// Returns a filter of the x-only keys that the eligible transactions of a block pay.
#[utoipa::path(
    get,
    path = "/blindbit/v1/filter/new-utxos/{height}",
    operation_id = "blindbitV1FilterNewUtxos",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The filter", body = BlindbitFilter),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn new_utxos(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let read = at(&handles, height, |found| {
        Ok((found.freshness(), filter::new_utxos(&found.block)))
    });
    let (freshness, filter) = read.await?;
    answer(&handles, &request_headers, freshness, &filter)
}

/// Returns a filter of the short hashes of the taproot outputs that a block spends.
#[utoipa::path(
    get,
    path = "/blindbit/v1/filter/spent/{height}",
    operation_id = "blindbitV1FilterSpent",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
    ),
    responses(
        (status = 200, description = "The filter", body = BlindbitFilter),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 400, description = "The height is not a number"),
        (status = 404, description = "The block does not exist, or is below the first block of the index"),
        (status = 503, description = "The relay has no tweak index, or the index has not reached this block"),
    ),
)]
pub(crate) async fn spent(
    State(handles): HandlesState,
    Height(height): Height,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (freshness, filter) = with_spent(&handles, height, |found| {
        Ok((found.freshness(), filter::spent(&found.block)))
    })
    .await?;
    answer(&handles, &request_headers, freshness, &filter)
}
