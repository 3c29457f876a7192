//! Detection: the one task that turns chain events into notifications.
//!
//! It owns all that detection knows, and is the only writer of the store. Per chain event: find the payments, number and encode the events,
//! commit them together with the new tip, then hand them to the hub. A kill between any two of these steps neither loses nor repeats an
//! event: what is not committed has been told to nobody, and the follower tells it again after the restart.
//!
//! Payments to a watch are not logged; they go to the mailbox of the connection that owns it, and nowhere else. The scheduler finds them beside
//! detection, which never waits for it: a connection whose watches are still being scanned sees no event that comes after what is scanned.

mod commands;
mod history;
mod ledger;
mod mempool;
mod past;
mod rows;
mod scan;
mod scan_queue;
mod scheduler;
mod watches;
mod worker;

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::ScriptBuf;
use sdk_relay_bip352::{Engine, Receiver};
use sdk_relay_chain::ChainEvent;
use sdk_relay_config::Network;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_store::{Store, StoreError};
use sdk_relay_telemetry::{Counters, Vitals};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use commands::{Detection, Heights, Mailbox, MailboxReceiver, Registered, WatchOrder, WatchRefused, mailbox};
pub use history::HistoryScanner;
pub use past::Outlook;

use crate::supervisor::Supervisor;
use scan_queue::ScanQueue;
use scheduler::Scheduler;
use worker::Worker;

/// What detection works with.
pub struct Parts {
    /// Where events become durable.
    pub store: Arc<Store>,
    /// Where they are told.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What `/health` looks at.
    pub vitals: Arc<Vitals>,
    /// For addresses.
    pub network: Network,
    /// The relay's own wallet.
    pub own: Arc<Receiver>,
    /// What scans.
    pub engine: Arc<dyn Engine>,
    /// Where history comes from; `None`: there is none.
    pub index: Option<Index>,
    /// Watches at most.
    pub max_watches: usize,
    /// The node wallet's scripts, once they are known. Detection waits for them before it looks at the chain, so that no payment to that
    /// wallet is passed over at the start.
    pub wallet_scripts: Option<oneshot::Receiver<HashSet<ScriptBuf>>>,
}

/// Starts detection on a thread of its own, so that its computing never holds up a socket. It ends when `stop` is cancelled or the stream
/// of chain events ends.
pub fn start(
    parts: Parts,
    events: mpsc::Receiver<ChainEvent>,
    stop: CancellationToken,
    supervisor: &Supervisor,
) -> Result<Started, StartError> {
    let (detection, commands) = Detection::channel();
    let orders = Arc::new(ScanQueue::default());
    let history = parts.index.clone().map(|index| HistoryScanner {
        index,
        engine: Arc::clone(&parts.engine),
        orders: Arc::clone(&orders),
        detection: detection.clone(),
        reading_fails: false,
    });
    let (scheduler, outcomes) = Scheduler::start(&parts.engine, supervisor).map_err(StartError::Thread)?;
    let worker = Worker::new(parts, detection.clone(), orders, scheduler)?;
    let runtime = tokio::runtime::Handle::current();
    supervisor
        .thread("detect", move || {
            runtime.block_on(worker.run(events, commands, outcomes, stop));
        })
        .map_err(StartError::Thread)?;
    Ok(Started { detection, history })
}

/// Detection, running.
pub struct Started {
    /// How to talk with it.
    pub detection: Detection,
    /// What scans history for it; it is to be run beside it.
    pub history: Option<HistoryScanner>,
}

/// Why detection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the store knows cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("no thread for detection or for scanning: {0}")]
    Thread(std::io::Error),
}
