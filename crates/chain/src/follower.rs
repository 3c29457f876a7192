//! Follows a [`ChainSource`] and emits one ordered, bounded stream of [`ChainEvent`]s, each as
//! an [`Observed`].
//!
//! Guarantees, beyond those of [`ChainEvent`]:
//!
//! - The stream may be cut at any event and resumed without a gap: pass the recent blocks of the consumer to
//!   [`Follower::spawn`].
//! - `TxLeft` names only transactions that this stream has reported with `TxsEntered` and that have not left since;
//!   `TxsEntered` names only others. After `MempoolSynced`, the mempool therefore holds exactly the transactions that
//!   this stream has reported.
//! - A failure of the source does not end it: the follower retries, and [`Follower::status`] gives the reason.
//! - A slow consumer makes the follower wait. Signals of the source may be dropped meanwhile; the follower then
//!   compares chain and mempool with the source.
//! - The task ends with its [`Follower`], or when the receiver is dropped.
//!
//! Signals are hints. The chain is compared by hashes (`local_chain`), the mempool by snapshots (`mempool_view`) taken
//! while the tip of the source equals the local tip: with a block in between, mined transactions would look like
//! removed ones.
//!
//! [`ChainEvent`]: crate::event::ChainEvent

mod backoff;
mod batch;
mod chain_sync;
mod driver;
mod local_chain;
mod mempool_sync;
mod mempool_view;
mod options;
mod status;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::event::{BlockRef, Observed};
use crate::joined::joined;
use crate::source::ChainSource;

pub use local_chain::KEPT_BLOCKS;
pub use options::{FollowerOptions, POLL_INTERVAL, RECONCILE_INTERVAL};
pub use status::{FollowState, FollowStatus};

/// The position of the consumer.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Recent blocks that the consumer knows, oldest first, without gaps; the last one is its tip. At most
    /// [`KEPT_BLOCKS`] are used. Empty at the first start: the stream then begins with `Jumped` to the
    /// source's tip.
    pub recent: Vec<BlockRef>,
}

/// Handle of the task that follows the chain; dropping it ends the task.
#[derive(Debug)]
pub struct Follower {
    status: watch::Receiver<FollowStatus>,
    task: AbortOnDropHandle<()>,
}

impl Follower {
    /// Starts to follow `source`. Must be called within a tokio runtime.
    pub fn spawn(
        source: Arc<dyn ChainSource>,
        start: Start,
        options: FollowerOptions,
    ) -> (Self, mpsc::Receiver<Observed>) {
        let (events, receiver) = mpsc::channel(options.events_ahead.max(1));
        let (driver, status) = driver::Driver::new(source, start, options, events);
        let task = AbortOnDropHandle::new(tokio::spawn(driver.run()));
        (Self { status, task }, receiver)
    }

    /// Waits for the end of the task. Dropping the future ends the task.
    ///
    /// # Panics
    /// If the task has panicked.
    pub async fn ended(self) {
        joined(self.task.await);
    }

    /// State of the follower. The receiver is notified when the state or the tip changes.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.clone()
    }
}
