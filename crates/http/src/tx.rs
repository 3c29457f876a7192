//! `POST /tx`: broadcasts a transaction or a package.

use std::sync::Arc;

use axum::extract::State;
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Transaction, Txid};
use sdk_relay_chain::{BroadcastError, ChainSource, PackageError};
use sdk_relay_echo::reason;
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_protocol::http::{TxRequest, TxResponse};
use sdk_relay_telemetry::clock::unix_now;

/// Transactions of a package: those of nodes (`MAX_PACKAGE_COUNT`).
const LARGEST_PACKAGE: usize = 25;

/// Broadcasts a transaction (`sendrawtransaction` of the node), or several that are accepted by the fee of all
/// (`submitpackage`).
#[utoipa::path(
    post,
    path = "/tx",
    operation_id = "sendTransaction",
    tag = "Bitcoin",
    security(("readToken" = []), ("adminToken" = [])),
    request_body = TxRequest,
    responses(
        (status = 200, description = "The node has accepted the transaction, or all of the package, and broadcasts it", body = TxResponse),
        (status = 422, description = "`hex` or `package` is not a transaction or a package, or the node rejects it; the text contains the reason of the node"),
        (status = 503, description = "The node is unavailable"),
    ),
)]
pub(super) async fn broadcast(
    State(chain): State<Arc<dyn ChainSource>>,
    Body(request): Body<TxRequest>,
) -> Result<Json<TxResponse>, ApiError> {
    match request {
        TxRequest {
            hex: Some(hex),
            package: None,
        } => one(&*chain, &hex).await,
        TxRequest {
            hex: None,
            package: Some(package),
        } => several(&*chain, &package).await,
        TxRequest { hex: Some(_), .. } => Err(ApiError::field("package", "expected hex or package, not both")),
        TxRequest { hex: None, .. } => Err(ApiError::field("hex", "missing: expected hex, or package")),
    }
    .map(Json)
}

async fn one(chain: &dyn ChainSource, hex: &str) -> Result<TxResponse, ApiError> {
    let tx = parse("hex", hex)?;
    let txid = chain.broadcast(&tx).await.map_err(|error| match error {
        BroadcastError::Rejected(rejection) => ApiError::field(
            "hex",
            format!("the node rejects the transaction: {}", reason(&rejection)),
        ),
        BroadcastError::Source(error) => error.into(),
    })?;
    Ok(TxResponse {
        txid: txid.to_string(),
        txids: None,
        replaced: None,
        timestamp: unix_now(),
    })
}

async fn several(chain: &dyn ChainSource, hex: &[String]) -> Result<TxResponse, ApiError> {
    if !(2..=LARGEST_PACKAGE).contains(&hex.len()) {
        let expected =
            format!("expected 2 to {LARGEST_PACKAGE} transactions, parents first; a single one is sent as hex");
        return Err(ApiError::field("package", expected));
    }
    let indexed = hex.iter().enumerate();
    let package = indexed.map(|(at, hex)| parse(&format!("package[{at}]"), hex));
    let package = package.collect::<Result<Vec<_>, _>>()?;
    let accepted = chain.broadcast_package(&package).await.map_err(rejected)?;
    let txids: Vec<String> = package.iter().map(|tx| tx.compute_txid().to_string()).collect();
    Ok(TxResponse {
        txid: txids.last().cloned().unwrap_or_default(),
        txids: Some(txids),
        replaced: Some(accepted.replaced.iter().map(Txid::to_string).collect()),
        timestamp: unix_now(),
    })
}

fn rejected(error: PackageError) -> ApiError {
    let (why, transactions, accepted) = match error {
        PackageError::Source(error) => return error.into(),
        PackageError::Rejected {
            reason,
            transactions,
            accepted,
        } => (reason, transactions, accepted),
    };
    let mut text = format!("the node rejects the package: {}", reason(&why));
    for (txid, why) in transactions {
        text.push_str(&format!("; {txid}: {}", reason(&why)));
    }
    if !accepted.is_empty() {
        let accepted: Vec<String> = accepted.iter().map(Txid::to_string).collect();
        text.push_str(&format!("; accepted nevertheless: {}", accepted.join(", ")));
    }
    ApiError::field("package", text)
}

fn parse(field: &str, hex: &str) -> Result<Transaction, ApiError> {
    deserialize_hex(hex).map_err(|e| ApiError::field(field, format!("not a transaction: {}", reason(&e.to_string()))))
}
