//! `POST /dev/mine` and `POST /dev/pay`: available only in `dev_mode`, on regtest, signet and standalone.

use std::sync::Arc;

use axum::extract::State;
use bitcoin::Amount;
use sdk_relay_chain::ChainSource;
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_protocol::http::{MineRequest, MineResponse, PayRequest, PayResponse};
use sdk_relay_protocol::{btc, parse_btc};
use sdk_relay_service::Settings;
use sdk_relay_service::dev::{DevError, DevTools, MOST_BLOCKS};
use sdk_relay_telemetry::clock::unix_now;

/// Mines blocks. Without a body: one block.
#[utoipa::path(
    post,
    path = "/dev/mine",
    operation_id = "mineBlocks",
    tag = "Development",
    security(("readToken" = []), ("adminToken" = [])),
    request_body = Option<MineRequest>,
    responses(
        (status = 200, description = "The blocks have been mined, and the relay has processed them", body = MineResponse),
        (status = 403, description = "`Host` is not a name of this relay (`http.hosts`)"),
        (status = 404, description = "`dev_mode` is `false`"),
        (status = 422, description = "`blocks` is not 1 to 1000"),
        (status = 503, description = "The node is unavailable, or its blocks cannot be mined (signet)"),
    ),
)]
pub(super) async fn mine(
    State(settings): State<Arc<Settings>>,
    State(dev): State<Option<Arc<DevTools>>>,
    State(chain): State<Arc<dyn ChainSource>>,
    body: Result<Option<Body<MineRequest>>, ApiError>,
) -> Result<Json<MineResponse>, ApiError> {
    let dev = tools(&settings, dev)?;
    let blocks = body?.and_then(|Body(request)| request.blocks).unwrap_or(1);
    if !(1..=MOST_BLOCKS).contains(&blocks) {
        return Err(ApiError::field("blocks", format!("expected 1 to {MOST_BLOCKS}")));
    }
    let mined = dev.mine(blocks).await.map_err(refused)?;
    Ok(Json(MineResponse {
        height: chain.tip().await?.height,
        blocks: mined.iter().map(ToString::to_string).collect(),
        timestamp: unix_now(),
    }))
}

/// Pays an address. The transaction is in the mempool when the relay answers.
#[utoipa::path(
    post,
    path = "/dev/pay",
    operation_id = "payAddress",
    tag = "Development",
    security(("readToken" = []), ("adminToken" = [])),
    request_body = PayRequest,
    responses(
        (status = 200, description = "The payment is in the mempool", body = PayResponse),
        (status = 403, description = "`Host` is not a name of this relay (`http.hosts`)"),
        (status = 404, description = "`dev_mode` is `false`"),
        (status = 422, description = "The address is not one of this network, or the amount cannot be paid"),
        (status = 503, description = "The node is unavailable, no wallet is configured, or its balance is too low"),
    ),
)]
pub(super) async fn pay(
    State(settings): State<Arc<Settings>>,
    State(dev): State<Option<Arc<DevTools>>>,
    body: Result<Body<PayRequest>, ApiError>,
) -> Result<Json<PayResponse>, ApiError> {
    let dev = tools(&settings, dev)?;
    let Body(PayRequest { address, amount }) = body?;
    let sats = parse_btc(&amount).map_err(|e| ApiError::field("amount", e.to_string()))?;
    let txid = dev.pay(&address, Amount::from_sat(sats)).await.map_err(refused)?;
    Ok(Json(PayResponse {
        txid: txid.to_string(),
        address,
        amount: btc(sats),
        amount_sats: sats,
        timestamp: unix_now(),
    }))
}

/// Available only in `dev_mode`, which can be changed at runtime.
fn tools(settings: &Settings, dev: Option<Arc<DevTools>>) -> Result<Arc<DevTools>, ApiError> {
    let on = settings.now().dev_mode;
    dev.filter(|_| on)
        .ok_or_else(|| ApiError::not_found("/dev/* is not available: dev_mode is false"))
}

fn refused(error: DevError) -> ApiError {
    match error {
        DevError::Address(reason) => ApiError::field("address", reason),
        DevError::Amount(reason) => ApiError::field("amount", reason),
        DevError::Source(error) => error.into(),
        DevError::Unavailable(reason) => ApiError::unavailable(reason),
        DevError::Failed(reason) => {
            tracing::error!(error = reason, "a /dev request failed");
            ApiError::internal()
        }
    }
}
