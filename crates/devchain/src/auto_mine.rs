//! Mines blocks at a fixed interval.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_chain::joined;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use super::DevChain;

/// Owner of the task that mines; dropping it ends the task.
#[derive(Debug)]
pub struct AutoMine {
    task: AbortOnDropHandle<()>,
}

impl AutoMine {
    /// Waits for the end of the task, which ends only by a panic.
    ///
    /// # Panics
    /// If the task has panicked.
    pub async fn ended(self) {
        joined(self.task.await);
    }
}

impl DevChain {
    /// Mines one block each `interval`, the first after one interval. An interval of zero counts as one millisecond. A
    /// failed write is logged, and the next block is tried. Must be called within a tokio runtime.
    pub fn auto_mine(self: &Arc<Self>, interval: Duration) -> AutoMine {
        let interval = interval.max(Duration::from_millis(1));
        let chain = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            // After a suspension one block is mined, not all missed ones.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = chain.mine(1) {
                    tracing::warn!(%error, "cannot mine a block");
                }
            }
        });
        AutoMine {
            task: AbortOnDropHandle::new(task),
        }
    }
}
