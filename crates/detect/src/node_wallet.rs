//! The wallet of the node: opened as soon as the node answers, its scripts kept up to date for detection.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::ScriptBuf;
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::node::{NodeWallet, WalletError};
use sdk_relay_chain::rpc::RpcClient;
use sdk_relay_telemetry::{Vitals, WalletState};
use tokio::sync::{oneshot, watch};

use crate::commands::Detection;

/// Retry interval of opening the wallet while the node is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Refresh interval of the scripts of the wallet: they include the next 1,000 addresses, and the wallet gives out few
/// in this time.
const SCRIPTS_EVERY: Duration = Duration::from_secs(60);

/// The node's wallet: opened as soon as the node answers, its scripts kept up to date.
pub struct NodeWalletKeeper {
    /// The node.
    pub rpc: RpcClient,
    /// The same node, as the relay follows it.
    pub chain: Arc<dyn ChainSource>,
    /// The wallet's name on the node.
    pub name: String,
    /// Receives the state of the wallet.
    pub vitals: Arc<Vitals>,
    /// Receives the wallet each time it is opened.
    pub handle: watch::Sender<Option<NodeWallet>>,
}

impl NodeWalletKeeper {
    /// Never returns. `first` receives the scripts once; on a node without wallets it is dropped, and detection
    /// continues without them.
    pub async fn keep(self, first: oneshot::Sender<HashSet<ScriptBuf>>, detection: Detection) {
        let mut first = Some(first);
        loop {
            match self.scripts().await {
                Ok(scripts) => {
                    self.vitals.set_wallet(WalletState::Open);
                    match first.take() {
                        Some(first) => drop(first.send(scripts)),
                        None => detection.wallet_scripts(scripts).await,
                    }
                    tokio::time::sleep(SCRIPTS_EVERY).await;
                }
                Err(error) => {
                    let away = matches!(error, WalletError::Source(_));
                    let problem = format!("bitcoin_core.wallet {:?}: {error}", self.name);
                    if self.vitals.wallet() != WalletState::Unavailable(problem.clone()) {
                        tracing::warn!("{problem}");
                        self.vitals.set_wallet(WalletState::Unavailable(problem));
                    }
                    if !away {
                        drop(first.take());
                    }
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    async fn scripts(&self) -> Result<HashSet<ScriptBuf>, WalletError> {
        // On a node of another network, no wallet is opened or created.
        self.chain.status().await?;
        let wallet = NodeWallet::open(&self.rpc, &self.name).await?;
        let scripts = wallet.scripts().await?;
        self.handle.send_replace(Some(wallet));
        Ok(scripts)
    }
}
