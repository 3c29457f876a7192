//! Detection, and the node's wallet that it watches.

use std::sync::Arc;

use sdk_relay_chain::Observed;
use sdk_relay_chain::node::NodeWallet;
use sdk_relay_config::Config;
use sdk_relay_detect::{DetachedLimits, Detection, NodeWalletKeeper, Parts, Started};
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_store::Store;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::chain::{Kind, Source};
use super::metrics::Metrics;
use super::wallet::Wallet;

/// What detection works with.
pub(crate) struct Input<'a> {
    pub(crate) config: &'a Config,
    pub(crate) source: &'a Source,
    pub(crate) events: mpsc::Receiver<Observed>,
    pub(crate) store: Arc<Store>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) wallet: &'a Wallet,
    pub(crate) index: Option<Index>,
    pub(crate) metrics: &'a Metrics,
}

/// Starts detection, with its history scanner. Where the configuration names a wallet of the node, it is kept open and
/// its scripts are watched; the receiver gets it each time that it is opened. `stop` ends detection.
pub(crate) fn start_detection(
    input: Input<'_>,
    stop: CancellationToken,
    supervisor: &Supervisor,
) -> anyhow::Result<(Detection, watch::Receiver<Option<NodeWallet>>)> {
    let Input { config, metrics, .. } = input;
    let (opened, node_wallet) = watch::channel(None);
    let keeper = match (&config.bitcoin_core.wallet, &input.source.kind) {
        (Some(name), Kind::Node(rpc)) => Some(NodeWalletKeeper {
            rpc: rpc.clone(),
            chain: Arc::clone(&input.source.chain),
            name: name.clone(),
            vitals: Arc::clone(&metrics.vitals),
            handle: opened,
        }),
        _ => None,
    };
    let (keeper, wallet_scripts) = keeper
        .map(|keeper| {
            let (sender, receiver) = oneshot::channel();
            ((keeper, sender), receiver)
        })
        .unzip();
    let parts = Parts {
        store: input.store,
        hub: input.hub,
        metrics: Arc::clone(&metrics.detection),
        vitals: Arc::clone(&metrics.vitals),
        timings: Arc::clone(&metrics.timings),
        network: config.network,
        own: input.wallet.own.clone(),
        scanner: input.wallet.scanner.clone(),
        index: input.index,
        chain: Some(Arc::clone(&input.source.chain)),
        max_watches: config.max_watches,
        detached: DetachedLimits {
            watches: config.detached.watches,
            per_address: config.detached.watches_per_address,
            matches: config.detached.matches,
            memory: config.detached.memory,
        },
        confirm_at: config.confirm_at.clone(),
        wallet_scripts,
    };
    let Started { detection, history } = sdk_relay_detect::start(parts, input.events, stop, supervisor)?;
    if let Some((keeper, scripts)) = keeper {
        supervisor.task("wallet", keeper.keep(scripts, detection.clone()));
    }
    if let Some(history) = history {
        supervisor.task("history", history.run());
    }
    Ok((detection, node_wallet))
}
