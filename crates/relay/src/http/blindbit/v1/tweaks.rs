//! `GET tweaks/H` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::super::Cx;
use super::super::answer::{Keeps, Refusal, answer};
use super::super::block::{DustLimit, Height, at};

/// Tweaks of the transactions of a block that have a taproot output left to spend (cut-through).
#[utoipa::path(
    get,
    path = "/blindbit/v1/tweaks/{height}",
    operation_id = "blindbitV1Tweaks",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
        ("dustLimit" = Option<u64>, Query, nullable = false, description = "Satoshis: transactions whose largest output is worth less are left out", minimum = 0),
    ),
    responses(
        (status = 200, description = "33 bytes in hex for each transaction, in block order", body = Vec<String>),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 400, description = "The height is no number, or the dust limit is none"),
        (status = 404, description = "There is no such block, or the index begins above it"),
        (status = 503, description = "The relay keeps no tweak index, or it has not come to this block yet"),
    ),
)]
pub(in crate::http) async fn tweaks(
    State(cx): Cx,
    Height(height): Height,
    limit: DustLimit,
    asked: HeaderMap,
) -> Result<Response, Refusal> {
    let read = at(&cx, height, move |found| {
        Ok((Keeps::UntilNextBlock, found.tweaks_cut_through(&limit)?))
    });
    let (keeps, tweaks) = read.await?;
    answer(&cx, &asked, keeps, &tweaks)
}
