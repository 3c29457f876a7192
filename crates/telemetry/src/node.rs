//! Figures of the node, requested at a fixed interval and after each new tip, so that clients cannot cause requests.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_protocol::http::BitcoinMetrics;
use tokio::sync::Notify;

/// Between two requests. Sufficient for graphs of the operator.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// Shortest time between two requests, while blocks arrive quickly.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The node's latest figures; empty while it does not answer.
#[derive(Debug, Default)]
pub struct NodeFigures {
    last: RwLock<BitcoinMetrics>,
    outdated: Notify,
}

impl NodeFigures {
    /// The latest figures.
    pub fn figures(&self) -> BitcoinMetrics {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tip of the node has changed: the figures are requested before the end of the interval.
    pub fn tip_changed(&self) {
        self.outdated.notify_one();
    }

    /// Keeps the figures up to date for as long as the returned future is polled; `ask` requests them.
    pub async fn poll<F: Future<Output = BitcoinMetrics>>(&self, ask: impl Fn() -> F) {
        loop {
            let figures = ask().await;
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = figures;
            tokio::time::sleep(AT_MOST_EVERY).await;
            drop(tokio::time::timeout(POLL_EVERY - AT_MOST_EVERY, self.outdated.notified()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_figures_are_requested_at_the_interval_and_after_a_new_tip() {
        let (node, requests) = (NodeFigures::default(), AtomicU64::new(0));
        let ask = async || BitcoinMetrics {
            block_height: Some(requests.fetch_add(1, Ordering::Relaxed)),
            ..BitcoinMetrics::default()
        };
        let within = POLL_EVERY * 2 + POLL_EVERY / 2;
        assert!(tokio::time::timeout(within, node.poll(ask)).await.is_err());
        assert_eq!(node.figures().block_height, Some(2), "at once, then twice");

        let blocks = async {
            let mut tick = tokio::time::interval(AT_MOST_EVERY / 4);
            loop {
                tick.tick().await;
                node.tip_changed();
            }
        };
        let polled = async { tokio::join!(node.poll(ask), blocks) };
        assert!(tokio::time::timeout(within, polled).await.is_err());
        let asked = node.figures().block_height.unwrap() - 2;
        let seconds = within.as_secs();
        assert!(
            (seconds - 2..=seconds + 1).contains(&asked),
            "{asked} in {seconds} s: after a change, but not after each"
        );
    }
}
