//! `GET info` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitInfo;

use super::super::super::Cx;
use super::super::answer::{Keeps, Refusal, answer};
use super::super::block::info as looked_up;

/// The network, the newest block of the index, and what can be asked for: all of it.
#[utoipa::path(
    get,
    path = "/blindbit/v2/info",
    operation_id = "blindbitV2Info",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "What can be asked for", body = BlindbitInfo),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 503, description = "The relay keeps no tweak index, or it has no block yet"),
    ),
)]
pub(in crate::http) async fn info(State(cx): Cx, asked: HeaderMap) -> Result<Response, Refusal> {
    answer(&cx, &asked, Keeps::UntilNextBlock, &looked_up(&cx).await?)
}
