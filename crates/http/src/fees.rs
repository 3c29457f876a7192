//! `GET /fees`: fee rates of the node.

use std::sync::Arc;

use axum::extract::State;
use sdk_relay_http_common::{ApiError, Json};
use sdk_relay_protocol::http::Fees;
use sdk_relay_service::FeeSource;

/// Returns fee rates for a transaction: `estimatesmartfee` and the minimums of `getmempoolinfo`. All clients share an
/// answer for 10 s.
#[utoipa::path(
    get,
    path = "/fees",
    operation_id = "getFees",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    responses(
        (status = 200, description = "Fee rates", body = Fees),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn fees(State(fees): State<Arc<FeeSource>>) -> Result<Json<Fees>, ApiError> {
    Ok(Json(Fees::clone(&*fees.fees().await?)))
}
