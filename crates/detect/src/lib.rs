//! Detection: the one task that turns chain events into notifications.
//!
//! It owns the state of detection, and is the only writer of the event log. Per chain event: find the payments, number
//! and encode the events, commit them together with the new tip, then publish them through the hub. A kill between any
//! two of these steps neither loses nor repeats an event: an uncommitted event was not sent, and the follower emits its
//! cause again after the restart.
//!
//! Payments to a watch are not logged; they go to the mailbox of the connection that owns it, and nowhere else. The
//! scheduler finds them concurrently to detection, which never waits for it: a connection whose watches are still being
//! scanned receives no event that is later than the scanned one.

mod budget;
mod commands;
mod detached;
mod detachments;
mod failures;
mod first_block;
mod history;
mod history_scan;
mod history_spends;
mod kept;
mod known_payment;
mod ledger;
mod look_up;
mod mailbox;
mod mempool;
mod metrics;
mod node_wallet;
mod own_record;
pub mod own_wallet;
mod parts;
mod queued;
mod recent_spends;
mod replacements;
mod rows;
mod scan;
mod scan_queue;
mod spend;
mod spend_job;
mod spend_queue;
mod turns;
mod unnamed;
mod wake;
mod watch;
mod watch_history;
mod watch_message;
mod watches;
mod worker;

use std::sync::Arc;

use sdk_relay_chain::Observed;
use sdk_relay_scheduler::Scheduler;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use commands::{AttachOrder, Detection, Registered, WatchOrder, WatchRefused};
pub use detached::{AttachRefused, Detach, DetachedLimits, DetachedState, Gap, WatchToken};
pub use first_block::begin_log;
pub use history::HistoryScanner;
pub use mailbox::{LedgerShare, Mailbox, MailboxReceiver};
pub use metrics::DetectionMetrics;
pub use node_wallet::NodeWalletKeeper;
pub use parts::{Parts, StartError};
pub use sdk_relay_scheduler::{SpawnThread, ThreadWork};
pub use wake::{Waiting, Wake};
pub use watch_history::HistoryPlan;
pub use watch_message::{FoundOutput, PaymentMessage, WatchMessage};

use scan_queue::ScanQueue;
use spend_queue::SpendQueue;
use worker::Worker;

/// Starts detection on a thread of its own, so that its computation never delays a socket. Ends when `stop` is
/// cancelled or the stream of chain events ends.
pub fn start(
    parts: Parts,
    events: mpsc::Receiver<Observed>,
    stop: CancellationToken,
    threads: &dyn SpawnThread,
) -> Result<Started, StartError> {
    let lost = parts.metrics.detached.lost.clone();
    let (detection, commands) = Detection::with_limits(parts.scanner.clone(), parts.detached, lost);
    let (orders, spends) = (Arc::new(ScanQueue::default()), Arc::new(SpendQueue::default()));
    let history = parts.index.clone().map(|index| HistoryScanner {
        index,
        scanner: parts.scanner.clone(),
        orders: Arc::clone(&orders),
        spends: Arc::clone(&spends),
        detection: detection.clone(),
        chain: parts.chain.clone(),
        reading_fails: false,
    });
    let (scheduler, outcomes) =
        Scheduler::start(&parts.scanner, threads, &parts.metrics.scans).map_err(StartError::Thread)?;
    let worker = Worker::new(parts, detection.clone(), (orders, spends), scheduler)?;
    threads
        .spawn_thread("detect", Box::pin(worker.run(events, commands, outcomes, stop)))
        .map_err(StartError::Thread)?;
    Ok(Started { detection, history })
}

/// Detection, running.
pub struct Started {
    /// Its handle.
    pub detection: Detection,
    /// The scanner of histories; to be run concurrently.
    pub history: Option<HistoryScanner>,
}
