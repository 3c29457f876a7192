//! Broadcasts a package: `submitpackage`.

use std::collections::BTreeMap;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Transaction, Txid};
use serde::Deserialize;
use serde_json::json;

use crate::rpc::RpcClient;
use crate::source::{AcceptedPackage, PackageError};

/// Reply of `submitpackage`. A node that rejects the package answers it as well.
#[derive(Deserialize)]
struct Reply {
    /// `success`, or why it is rejected.
    package_msg: String,
    /// By wtxid.
    #[serde(rename = "tx-results")]
    results: BTreeMap<String, Outcome>,
    #[serde(rename = "replaced-transactions", default)]
    replaced: Vec<Txid>,
}

#[derive(Deserialize)]
struct Outcome {
    txid: Txid,
    #[serde(default)]
    error: Option<String>,
}

pub(super) async fn submit(rpc: &RpcClient, package: &[Transaction]) -> Result<AcceptedPackage, PackageError> {
    let hex: Vec<String> = package.iter().map(serialize_hex).collect();
    let reply: Reply = rpc
        .call("submitpackage", json!([hex]))
        .await
        .map_err(|error| match error.server() {
            Some(server) if server.refuses_transaction() => PackageError::Rejected {
                reason: server.message.clone(),
                transactions: Vec::new(),
                accepted: Vec::new(),
            },
            _ => PackageError::Source(error.into()),
        })?;
    if reply.package_msg == "success" {
        return Ok(AcceptedPackage {
            replaced: reply.replaced,
        });
    }
    Err(rejected(reply))
}

/// The results in a stable order.
fn rejected(reply: Reply) -> PackageError {
    let (mut transactions, mut accepted) = (Vec::new(), Vec::new());
    for Outcome { txid, error } in reply.results.into_values() {
        match error {
            Some(error) => transactions.push((txid, error)),
            None => accepted.push(txid),
        }
    }
    transactions.sort();
    accepted.sort();
    PackageError::Rejected {
        reason: reply.package_msg,
        transactions,
        accepted,
    }
}
