//! Dependencies of detection, and errors of its start.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_chain::ChainSource;
use sdk_relay_config::Network;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_store::{EventLog, StoreError};
use sdk_relay_telemetry::{Timings, Vitals};
use tokio::sync::oneshot;

use crate::detached::DetachedLimits;
use crate::metrics::DetectionMetrics;

/// Dependencies of detection.
pub struct Parts {
    /// The event log.
    pub store: Arc<dyn EventLog>,
    /// Publishes them.
    pub hub: Arc<Hub>,
    /// Counters.
    pub metrics: Arc<DetectionMetrics>,
    /// State for `/health`.
    pub vitals: Arc<Vitals>,
    /// Timings of events.
    pub timings: Arc<Timings>,
    /// For addresses.
    pub network: Network,
    /// The relay's own wallet.
    pub own: Option<Arc<Prepared>>,
    /// The scanner.
    pub scanner: Scanner,
    /// The tweak index for histories; `None` if disabled.
    pub index: Option<Index>,
    /// The node, for transactions that the index omits; `None`: histories report them without their txid.
    pub chain: Option<Arc<dyn ChainSource>>,
    /// Largest number of watches.
    pub max_watches: usize,
    /// Bounds of detached watches.
    pub detached: DetachedLimits,
    /// Depths of `payment_confirmed` for the relay's own wallets, in increasing order.
    pub confirm_at: Vec<u32>,
    /// The node wallet's scripts, once they are known. Detection waits for them before it processes the chain, so that
    /// no payment to that wallet is missed at the start.
    pub wallet_scripts: Option<oneshot::Receiver<HashSet<ScriptBuf>>>,
}

/// Why detection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread cannot be started.
    #[error("cannot start a thread for detection or scanning: {0}")]
    Thread(std::io::Error),
}
