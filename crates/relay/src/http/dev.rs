//! `POST /dev/mine` and `POST /dev/pay`: there in `dev_mode` only, on regtest, signet and standalone.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request, State};
use bitcoin::Amount;
use sdk_relay_protocol::http::{MineRequest, MineResponse, PayRequest, PayResponse};
use sdk_relay_protocol::{btc, parse_btc};

use super::Cx;
use super::problem::ApiError;
use crate::clock::unix_now;
use crate::dev::{DevError, MOST_BLOCKS};

/// Mines blocks. The body may be left out: one block.
pub(super) async fn mine(State(cx): Cx, request: Request) -> Result<Json<MineResponse>, ApiError> {
    let (head, body) = request.into_parts();
    let body = Bytes::from_request(Request::from_parts(head.clone(), body), &()).await?;
    let request = if body.is_empty() {
        MineRequest::default()
    } else {
        Json::from_request(Request::from_parts(head, body.into()), &()).await?.0
    };
    let blocks = request.blocks.unwrap_or(1);
    if !(1..=MOST_BLOCKS).contains(&blocks) {
        return Err(ApiError::field("blocks", format!("expected 1 to {MOST_BLOCKS}")));
    }
    let dev = cx.dev.as_ref().ok_or_else(|| ApiError::not_found("dev_mode is off"))?;
    let mined = dev.mine(blocks).await?;
    Ok(Json(MineResponse {
        height: cx.chain.tip().await?.height,
        blocks: mined.iter().map(ToString::to_string).collect(),
        timestamp: unix_now(),
    }))
}

/// Pays an address. The transaction is in the mempool when the answer comes.
pub(super) async fn pay(
    State(cx): Cx,
    body: Result<Json<PayRequest>, JsonRejection>,
) -> Result<Json<PayResponse>, ApiError> {
    let Json(PayRequest { address, amount }) = body?;
    let sats = parse_btc(&amount).map_err(|e| ApiError::field("amount", e.to_string()))?;
    let dev = cx.dev.as_ref().ok_or_else(|| ApiError::not_found("dev_mode is off"))?;
    let txid = dev.pay(&address, Amount::from_sat(sats)).await?;
    Ok(Json(PayResponse {
        txid: txid.to_string(),
        address,
        amount: btc(sats),
        amount_sats: sats,
        timestamp: unix_now(),
    }))
}

impl From<DevError> for ApiError {
    fn from(error: DevError) -> Self {
        match error {
            DevError::Address(reason) => Self::field("address", reason),
            DevError::Amount(reason) => Self::field("amount", reason),
            DevError::Source(error) => error.into(),
            DevError::Unavailable(reason) => Self::unavailable(reason),
            DevError::Failed(reason) => {
                tracing::error!(error = reason, "a /dev request failed");
                Self::internal()
            }
        }
    }
}
