//! `GET filter/new-utxos/H` and `GET filter/spent/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitFilter;

use super::super::super::Cx;
use super::super::answer::{Refusal, answer};
use super::super::block::{Height, at, with_spent};
use super::super::filter;

/// Filter of the x-only keys of what the eligible transactions of a block pay.
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
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 400, description = "The height is no number"),
        (status = 404, description = "There is no such block, or the index begins above it"),
        (status = 503, description = "The relay keeps no tweak index, or it has not come to this block yet"),
    ),
)]
pub(in crate::http) async fn new_utxos(
    State(cx): Cx,
    Height(height): Height,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    let read = at(&cx, height, |found| {
        Ok((found.keeps(), filter::new_utxos(&found.block)))
    });
    let (keeps, filter) = read.await?;
    answer(&cx, &asked, keeps, &filter)
}

/// Filter of the short hashes of the taproot outputs that a block spends.
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
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 400, description = "The height is no number"),
        (status = 404, description = "There is no such block, or the index begins above it"),
        (status = 503, description = "The relay keeps no tweak index, or it has not come to this block yet"),
    ),
)]
pub(in crate::http) async fn spent(
    State(cx): Cx,
    Height(height): Height,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    let (keeps, filter) = with_spent(&cx, height, |found| Ok((found.keeps(), filter::spent(&found.block)))).await?;
    answer(&cx, &asked, keeps, &filter)
}
