//! `GET block-height` of version 1.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitBlockHeight;

use crate::answer::{Freshness, Refusal, answer};
use crate::block::tip;
use crate::state::HandlesState;

/// Returns the height of the newest block in the index.
#[utoipa::path(
    get,
    path = "/blindbit/v1/block-height",
    operation_id = "blindbitV1BlockHeight",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "The height", body = BlindbitBlockHeight),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 503, description = "The relay has no tweak index, or the index is empty"),
    ),
)]
pub(crate) async fn block_height(
    State(handles): HandlesState,
    request_headers: HeaderMap,
) -> Result<Response, Refusal> {
    let block_height = tip(&handles).await?.height;
    answer(
        &handles,
        &request_headers,
        Freshness::UntilNextBlock,
        &BlindbitBlockHeight { block_height },
    )
}
