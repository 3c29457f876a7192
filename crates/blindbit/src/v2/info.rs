//! `GET info` of version 2.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sdk_relay_protocol::blindbit::BlindbitInfo;

use crate::answer::{Freshness, Refusal, answer};
use crate::block::info as looked_up;
use crate::state::HandlesState;

/// Returns the network, the newest block of the index, and the available kinds of tweaks: all of them.
#[utoipa::path(
    get,
    path = "/blindbit/v2/info",
    operation_id = "blindbitV2Info",
    tag = "BlindBit",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "The network, the newest block, and the available kinds of tweaks", body = BlindbitInfo),
        (status = 304, description = "Not modified: `If-None-Match` matches"),
        (status = 503, description = "The relay has no tweak index, or the index is empty"),
    ),
)]
pub(crate) async fn info(State(handles): HandlesState, request_headers: HeaderMap) -> Result<Response, Refusal> {
    answer(
        &handles,
        &request_headers,
        Freshness::UntilNextBlock,
        &looked_up(&handles).await?,
    )
}
