//! Figures of the node, requested at a fixed interval, so that clients cannot cause more requests.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_protocol::http::BitcoinMetrics;

/// Between two requests. Sufficient for graphs of the operator.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// The node's latest figures; empty while it does not answer.
#[derive(Debug, Default)]
pub struct NodeFigures {
    last: RwLock<BitcoinMetrics>,
}

impl NodeFigures {
    /// The latest figures.
    pub fn figures(&self) -> BitcoinMetrics {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the figures up to date for as long as the returned future is polled; `ask` requests them.
    pub async fn poll<F: Future<Output = BitcoinMetrics>>(&self, ask: impl Fn() -> F) {
        let mut tick = tokio::time::interval(POLL_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let figures = ask().await;
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = figures;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_figures_are_kept_and_requested_at_the_interval() {
        let (node, requests) = (NodeFigures::default(), AtomicU64::new(0));
        let ask = async || BitcoinMetrics {
            block_height: Some(requests.fetch_add(1, Ordering::Relaxed)),
            ..BitcoinMetrics::default()
        };
        let within = POLL_EVERY * 2 + POLL_EVERY / 2;
        assert!(tokio::time::timeout(within, node.poll(ask)).await.is_err());
        assert_eq!(node.figures().block_height, Some(2), "at once, then twice");
    }
}
