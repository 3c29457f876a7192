//! What detection is started with, and why it cannot start.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_config::Network;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_store::{EventLog, StoreError};
use sdk_relay_telemetry::{Counters, Vitals};
use tokio::sync::oneshot;

/// What detection works with.
pub struct Parts {
    /// Where events become durable.
    pub store: Arc<dyn EventLog>,
    /// Publishes them.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What `/health` looks at.
    pub vitals: Arc<Vitals>,
    /// For addresses.
    pub network: Network,
    /// The relay's own wallet.
    pub own: Arc<Prepared>,
    /// What scans.
    pub scanner: Scanner,
    /// Where history comes from; `None`: there is none.
    pub index: Option<Index>,
    /// Watches at most.
    pub max_watches: usize,
    /// The node wallet's scripts, once they are known. Detection waits for them before it looks at the chain, so that
    /// no payment to that wallet is passed over at the start.
    pub wallet_scripts: Option<oneshot::Receiver<HashSet<ScriptBuf>>>,
}

/// Why detection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the store knows cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("cannot start a thread for detection or scanning: {0}")]
    Thread(std::io::Error),
}
