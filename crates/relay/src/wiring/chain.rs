//! The source of blocks, and what follows it.

use std::sync::Arc;

use anyhow::Context as _;
use sdk_relay_chain::follower::{FollowStatus, Follower, FollowerOptions, Start};
use sdk_relay_chain::node::{NodeConfig, NodeSource};
use sdk_relay_chain::rpc::RpcClient;
use sdk_relay_chain::{BlockRef, ChainSource, Observed};
use sdk_relay_config::Config;
use sdk_relay_devchain::DevChain;
use sdk_relay_supervisor::Supervisor;
use tokio::sync::{mpsc, watch};

use super::metrics::Registries;

/// Where blocks come from, and what goes with it.
pub(crate) struct Source {
    pub(crate) chain: Arc<dyn ChainSource>,
    pub(crate) kind: Kind,
}

impl Source {
    /// Registers what requests to the node cost. The development chain is in this process.
    pub(crate) fn register(&self, Registries { public, private }: &mut Registries) {
        if let Kind::Node(rpc) = &self.kind {
            rpc.metrics().register(public, private);
        }
    }
}

pub(crate) enum Kind {
    Embedded(Arc<DevChain>),
    Node(RpcClient),
}

/// Opens the configured source.
pub(crate) fn open_source(config: &Config) -> anyhow::Result<Source> {
    if config.standalone {
        let chain = DevChain::open(&config.data_dir).context("cannot open the development chain")?;
        return Ok(Source {
            chain: Arc::clone(&chain) as Arc<dyn ChainSource>,
            kind: Kind::Embedded(chain),
        });
    }
    let node = &config.bitcoin_core;
    for finding in node.findings() {
        tracing::info!("{finding}");
    }
    if let Some(warning) = node.withheld() {
        tracing::warn!(warning, "sending no credentials to the node");
    }
    let node = NodeSource::new(NodeConfig {
        rpc_url: node.url.clone(),
        auth: node.auth(),
        zmq: node.zmq.clone(),
        proxy: node.proxy.clone(),
    })?
    .of_chain(config.network.chain());
    let rpc = node.rpc().clone();
    Ok(Source {
        chain: Arc::new(node),
        kind: Kind::Node(rpc),
    })
}

/// Follows the chain from the newest of these blocks that it still has.
pub(crate) fn follow(
    source: &Source,
    recent: Vec<BlockRef>,
    supervisor: &Supervisor,
) -> (watch::Receiver<FollowStatus>, mpsc::Receiver<Observed>) {
    let (follower, events) = Follower::spawn(Arc::clone(&source.chain), Start { recent }, FollowerOptions::default());
    let followed = follower.status();
    supervisor.task("follower", follower.ended());
    (followed, events)
}

/// Mines blocks regularly, where the configuration asks for it.
pub(crate) fn spawn_miner(source: &Source, config: &Config, supervisor: &Supervisor) {
    if let (Kind::Embedded(chain), Some(interval)) = (&source.kind, config.mine_interval) {
        supervisor.task("miner", chain.auto_mine(interval).ended());
    }
}
