//! `GET block-height` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitBlockHeight;

use super::super::super::Cx;
use super::super::answer::{Keeps, Refusal, answer};
use super::super::block::tip;

/// The newest block that can be asked for.
#[utoipa::path(
    get,
    path = "/blindbit/v1/block-height",
    operation_id = "blindbitV1BlockHeight",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "Its height", body = BlindbitBlockHeight),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 503, description = "The relay keeps no tweak index, or it has no block yet"),
    ),
)]
pub(in crate::http) async fn block_height(State(cx): Cx, asked: HeaderMap) -> Result<Response, Refusal> {
    let block_height = tip(&cx).await?.height;
    answer(
        &cx,
        &asked,
        Keeps::UntilNextBlock,
        &BlindbitBlockHeight { block_height },
    )
}
