//! Fee rates of a node.

use serde::Deserialize;
use serde_json::json;

use super::amount::Btc;
use crate::rpc::{RawOutcome, RpcClient, RpcError};
use crate::source::FeeRates;

/// Reply of `estimatesmartfee`, in BTC per 1,000 virtual bytes; without a rate if the node has too few observations.
#[derive(Deserialize)]
struct Estimate {
    #[serde(default)]
    feerate: Option<Btc>,
}

/// The minimums in the reply of `getmempoolinfo`.
#[derive(Deserialize)]
struct Minimums {
    mempoolminfee: Btc,
    minrelaytxfee: Btc,
}

/// In one batch: `estimatesmartfee` for each target, in the node's default mode, and `getmempoolinfo`.
pub(super) async fn rates(rpc: &RpcClient, targets: &[u16]) -> Result<FeeRates, RpcError> {
    let mut calls: Vec<_> = targets
        .iter()
        .map(|target| ("estimatesmartfee", json!([target])))
        .collect();
    calls.push(("getmempoolinfo", json!([])));
    let mut outcomes = calls
        .iter()
        .map(|(method, _)| *method)
        .zip(rpc.batch_raw(&calls).await?);
    let mut estimates = Vec::with_capacity(targets.len());
    for target in targets {
        let estimate: Estimate = read(rpc, outcomes.next())?;
        estimates.push((*target, estimate.feerate.map(|rate| rate.0.to_sat())));
    }
    let minimums: Minimums = read(rpc, outcomes.next())?;
    Ok(FeeRates {
        estimates,
        mempool_minimum: minimums.mempoolminfee.0.to_sat(),
        relay_minimum: minimums.minrelaytxfee.0.to_sat(),
    })
}

fn read<T: for<'a> Deserialize<'a>>(rpc: &RpcClient, outcome: Option<(&str, RawOutcome)>) -> Result<T, RpcError> {
    match outcome {
        Some((method, Ok(Some(raw)))) => {
            serde_json::from_str(raw.get()).map_err(|error| RpcError::malformed(method, error))
        }
        Some((method, Ok(None))) => Err(RpcError::malformed(method, "no result")),
        Some((method, Err(error))) => Err(RpcError::from_server(rpc.at(), method, error)),
        None => Err(RpcError::malformed("a batch", "too few replies")),
    }
}
