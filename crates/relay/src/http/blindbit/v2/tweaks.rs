//! `GET tweaks/H` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitTweaks;

use super::super::super::Cx;
use super::super::answer::{Refusal, answer};
use super::super::block::{DustLimit, Height, at};

/// Tweaks of all eligible transactions of a block.
#[utoipa::path(
    get,
    path = "/blindbit/v2/tweaks/{height}",
    operation_id = "blindbitV2Tweaks",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    params(
        ("height" = u32, Path, description = "Height of the block", minimum = 0, maximum = 4294967295u32, example = 0),
        ("dustLimit" = Option<u64>, Query, nullable = false, description = "Satoshis: transactions whose largest output is worth less are left out", minimum = 0),
    ),
    responses(
        (status = 200, description = "33 bytes in hex for each transaction, in block order", body = BlindbitTweaks),
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
        let tweaks = BlindbitTweaks {
            block_identifier: found.identifier(),
            index: found.tweaks(&limit),
        };
        Ok((found.keeps(), tweaks))
    });
    let (keeps, tweaks) = read.await?;
    answer(&cx, &asked, keeps, &tweaks)
}
