//! Follows a [`ChainSource`] and tells what happens as one ordered, bounded stream of [`ChainEvent`]s.
//!
//! Guarantees, beyond those of [`ChainEvent`]:
//!
//! - The stream may be cut anywhere, and goes on without a hole from the last block that was told: hand its recent
//!   blocks to [`Follower::spawn`] again.
//! - `TxLeft` names only transactions that this stream has told and not yet seen leave; `TxsEntered` names only others.
//!   After `MempoolSynced` the mempool is therefore what this stream has told, and nothing from before.
//! - It never ends on its own: a source that fails is asked again until it answers, and [`Follower::status`] says what
//!   it waits for.
//! - A slow consumer makes the follower wait. What the source signals meanwhile may be dropped; it is found again by
//!   looking.
//! - The task ends with its [`Follower`], or when the receiver is dropped.
//!
//! Signals are only ever hints. The chain is compared by hashes (`local_chain`), the mempool by snapshots
//! (`mempool_view`) taken while the source's tip stood still at the told tip: otherwise a block in between would make
//! mined transactions look like lost ones.

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

use crate::event::{BlockRef, ChainEvent};
use crate::joined::joined;
use crate::source::ChainSource;

pub use local_chain::KEPT_BLOCKS;
pub use options::{FollowerOptions, POLL_INTERVAL, RECONCILE_INTERVAL};
pub use status::{FollowState, FollowStatus};

/// Where the consumer stands.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Recent blocks that the consumer knows, oldest first, without holes; the last one is its tip. More than
    /// [`KEPT_BLOCKS`] are of no use. Empty at the very first start: the stream then begins with [`ChainEvent::Jumped`]
    /// to the source's tip.
    pub recent: Vec<BlockRef>,
}

/// Owner of the task that follows the chain; dropping it ends the task.
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
    ) -> (Self, mpsc::Receiver<ChainEvent>) {
        let (events, receiver) = mpsc::channel(options.events_ahead.max(1));
        let (driver, status) = driver::Driver::new(source, start, options, events);
        let task = AbortOnDropHandle::new(tokio::spawn(driver.run()));
        (Self { status, task }, receiver)
    }

    /// Waits for the end of the task. Dropped, it ends the task.
    ///
    /// # Panics
    /// When the task has panicked: whoever waits is its owner.
    pub async fn ended(self) {
        joined(self.task.await);
    }

    /// What the follower does and waits for. Wakes its watchers when the state or the tip changes.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        self.status.clone()
    }
}
