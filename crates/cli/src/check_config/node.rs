//! What the relay needs from the node.

use std::time::{Duration, UNIX_EPOCH};

use sdk_relay_chain::SourceError;
use sdk_relay_chain::node::{METHODS, ZmqReport, zmq_report};
use sdk_relay_chain::rpc::{RpcClient, RpcError};
use sdk_relay_config::{Config, Network};
use sdk_relay_echo::short;
use sdk_relay_platform::clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::report::Report;

/// A healthy node answers within milliseconds; one that validates a block holds its lock for some seconds.
/// Through a proxy, the connection comes first (`Proxy::connect`).
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Oldest supported version of Bitcoin Core, as `getnetworkinfo` counts: it has `gettxspendingprevout`, and the mempool
/// sequence.
const OLDEST_VERSION: u64 = 250_000;
/// A larger difference between two clocks is no network delay.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(30);

/// The fields of `getblockchaininfo` that are checked.
#[derive(Deserialize)]
struct Chain {
    chain: String,
    blocks: u32,
    headers: u32,
    mediantime: u64,
    initialblockdownload: bool,
    #[serde(default)]
    pruneheight: Option<u32>,
}

/// Asks the node of the configuration.
pub(super) async fn check(config: &Config, report: &mut Report) {
    for finding in config.bitcoin_core.findings() {
        let line = format!("Search: {finding}");
        if config.bitcoin_core.has_found_cookie() {
            report.good(line);
        } else {
            report.note(line);
        }
    }
    if let Some(withheld) = config.bitcoin_core.withheld() {
        report.note(format!("Credentials: {withheld}"));
    }
    let node = &config.bitcoin_core;
    let rpc = match RpcClient::with_proxy(&node.url, node.auth(), node.proxy.clone()) {
        Ok(rpc) => rpc,
        Err(error) => return report.bad(format!("Node: {error}")),
    };
    let chain = match call::<Chain>(&rpc, "getblockchaininfo").await {
        Ok(chain) => chain,
        Err(error) => return unusable(error, report),
    };
    report.good(format!("Node: {} answers and accepts the credentials", rpc.at()));
    methods(&rpc, report).await;
    version(&rpc, report).await;
    if chain.chain == config.network.chain() {
        report.good(format!("Network: the node is on {}", config.network));
        blocks(config, &chain, report);
    } else {
        wrong_network(config, &rpc, &chain, report);
    }
    zmq(config, &rpc, report).await;
    rest(&rpc, report).await;
    time(&rpc, &chain, report).await;
}

/// A call without arguments.
async fn call<T: serde::de::DeserializeOwned>(rpc: &RpcClient, method: &str) -> Result<T, RpcError> {
    call_with(rpc, method, json!([])).await
}

async fn call_with<T: serde::de::DeserializeOwned>(
    rpc: &RpcClient,
    method: &str,
    arguments: Value,
) -> Result<T, RpcError> {
    match timeout(ANSWER_WITHIN, rpc.call(method, arguments)).await {
        Ok(answer) => answer,
        Err(_) => Err(RpcError::Unreachable {
            at: rpc.at().to_owned(),
            reason: format!("no answer to {method} within {} s", ANSWER_WITHIN.as_secs()),
        }),
    }
}

/// The node cannot be used: what to do.
fn unusable(error: RpcError, report: &mut Report) {
    let todo = match &error {
        RpcError::Unreachable { .. } => "; --offline skips this check",
        RpcError::Warming { .. } => {
            return report.note(format!("Node: {error}: the relay follows it as soon as it is ready"));
        }
        // The text says it.
        _ => "",
    };
    report.bad(format!("Node: {}{todo}", SourceError::from(error)));
}

/// Whether the node lets this user call what the relay calls (`rpcwhitelist`). It checks that before the arguments,
/// which are wrong here, so that no method is executed.
async fn methods(rpc: &RpcClient, report: &mut Report) {
    let mut refused = Vec::new();
    for method in METHODS {
        if let Err(RpcError::Unauthorized { .. }) = call_with::<Value>(rpc, method, json!([{}, {}, {}, {}, {}])).await {
            refused.push(method);
        }
    }
    if !refused.is_empty() {
        report.bad(format!(
            "RPC methods: the node does not allow {}: add them to rpcwhitelist in bitcoin.conf and restart the node",
            refused.join(", ")
        ));
    }
}

async fn version(rpc: &RpcClient, report: &mut Report) {
    let info = match call::<Value>(rpc, "getnetworkinfo").await {
        Ok(info) => info,
        Err(error) => return report.bad(format!("Version: {error}")),
    };
    let name = short(info["subversion"].as_str().unwrap_or("unknown").trim_matches('/'));
    match info["version"].as_u64() {
        Some(version) if version < OLDEST_VERSION => report.bad(format!(
            "Version: the node is {name}, and the relay needs Bitcoin Core 25 or newer, or Knots: upgrade it"
        )),
        _ => report.good(format!("Version: {name}")),
    }
}

fn wrong_network(config: &Config, rpc: &RpcClient, chain: &Chain, report: &mut Report) {
    let expected = config.network.chain();
    let error = SourceError::WrongChain {
        at: rpc.at().to_owned(),
        found: short(&chain.chain),
        expected: expected.to_owned(),
    };
    report.bad(format!("Network: {error}"));
}

/// Synchronisation and pruning.
fn blocks(config: &Config, chain: &Chain, report: &mut Report) {
    let Chain { blocks, headers, .. } = chain;
    let is_syncing = chain.initialblockdownload && config.network != Network::Regtest;
    if is_syncing {
        report.note(format!(
            "Blocks: the node is synchronising, block {blocks} of {headers}: the relay starts to follow it when it is done"
        ));
    } else {
        report.good(format!("Blocks: the node is at block {blocks}"));
    }
    let first = config.index.map(|index| index.start_height);
    match (chain.pruneheight, first) {
        (None, _) => report.good("Pruning: the node keeps all blocks"),
        (Some(lowest), Some(first)) if lowest > first => report.note(format!(
            "Pruning: the node has pruned the blocks below {lowest}: histories begin there instead of at block {first}"
        )),
        (Some(lowest), _) => report.good(format!("Pruning: the node keeps the blocks from {lowest}")),
    }
}

async fn zmq(config: &Config, rpc: &RpcClient, report: &mut Report) {
    let asked = timeout(
        ANSWER_WITHIN,
        zmq_report(rpc, &config.bitcoin_core.zmq, config.bitcoin_core.proxy.as_ref()),
    )
    .await;
    let later = "payments are seen up to a second later";
    match asked {
        Ok(Ok(ZmqReport::Off)) => report.note(format!("ZMQ: bitcoin_core.zmq_url is \"off\": {later}")),
        Ok(Ok(ZmqReport::Absent(advice))) => report.note(format!("ZMQ: {advice}")),
        Ok(Ok(ZmqReport::Published {
            url,
            unreachable: Some(reason),
            reported,
            ..
        })) => {
            let reported = match reported {
                Some(other) if other != url => format!(" (the node reports {other})"),
                _ => String::new(),
            };
            report.bad(format!(
                "ZMQ: {url} cannot be reached ({reason}): set bitcoin_core.zmq_url to an address at which this machine reaches it{reported}, or to \"off\""
            ));
        }
        Ok(Ok(ZmqReport::Published {
            missing: Some(advice),
            lacks_sequence,
            ..
        })) => {
            let effect = if lacks_sequence {
                format!(" ({later})")
            } else {
                String::new()
            };
            report.note(format!("ZMQ: {advice}{effect}"));
        }
        Ok(Ok(ZmqReport::Published { url, .. })) => {
            report.good(format!("ZMQ: {url} publishes sequence, rawtx and hashblock"));
        }
        Ok(Err(error)) => report.note(format!("ZMQ: the node does not say what it publishes ({error})")),
        Err(_) => report.note("ZMQ: the node does not say in time what it publishes"),
    }
}

async fn rest(rpc: &RpcClient, report: &mut Report) {
    match timeout(ANSWER_WITHIN, rpc.rest_get("/rest/chaininfo.json")).await {
        Ok(Ok(Some(_))) => report.good("REST: the node serves blocks over REST"),
        _ => report.note(
            "REST: the node does not serve it, so that blocks are read over RPC, which is slower: add rest=1 to bitcoin.conf and restart the node",
        ),
    }
}

/// The clock of this machine, compared with the node's (`getnettotals`) and with the chain.
async fn time(rpc: &RpcClient, chain: &Chain, report: &mut Report) {
    let now = clock::now()
        .duration_since(UNIX_EPOCH)
        .map_or(Duration::ZERO, |now| now);
    // Blocks that are made on demand, many at once, are ahead of every clock.
    if chain.chain != "regtest" && now < Duration::from_secs(chain.mediantime) {
        return report.bad(
            "Clock: this machine is behind the time of the last blocks: set its clock, for example with NTP (timedatectl set-ntp true)",
        );
    }
    let theirs = match call::<Value>(rpc, "getnettotals").await {
        Ok(totals) => totals["timemillis"].as_u64().map(Duration::from_millis),
        Err(_) => None,
    };
    let Some(theirs) = theirs else {
        return report.good("Clock: this machine is not behind the chain");
    };
    let difference = now.abs_diff(theirs);
    if difference > CLOCK_DIFFERENCE {
        report.note(format!(
            "Clock: this machine and the node differ by {} s: set both clocks, for example with NTP (timedatectl set-ntp true)",
            difference.as_secs()
        ));
    } else {
        report.good("Clock: this machine and the node agree");
    }
}
