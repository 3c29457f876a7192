//! What mines and pays on networks for development.

use std::sync::Arc;

use sdk_relay_chain::node::NodeWallet;
use sdk_relay_config::Config;
use sdk_relay_service::dev::{DevTools, Faucet};
use tokio::sync::watch;

use super::chain::{Kind, Source};

/// The tools of this source; `None` on other networks. `node_wallet` pays where the source is a node.
pub(crate) fn dev_tools(
    config: &Config,
    source: &Source,
    node_wallet: watch::Receiver<Option<NodeWallet>>,
) -> Option<Arc<DevTools>> {
    config.network.is_for_development().then(|| {
        Arc::new(match &source.kind {
            Kind::Embedded(chain) => DevTools::Embedded(Arc::clone(chain)),
            Kind::Node(rpc) => DevTools::Node(Faucet {
                rpc: rpc.clone(),
                chain: Arc::clone(&source.chain),
                has_wallet: config.bitcoin_core.wallet.is_some(),
                wallet: node_wallet,
                network: config.network,
            }),
        })
    })
}
