//! The node's own figures, looked up now and then, so that no client can make the relay ask the node more often.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_chain::ChainSource;
use sdk_relay_protocol::http::BitcoinMetrics;

/// Between two looks. Blocks come every ten minutes; the mempool's size is a curve for an operator's eye.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the node said last; nothing while it does not answer.
#[derive(Debug, Default)]
pub struct NodeFigures {
    last: RwLock<BitcoinMetrics>,
}

impl NodeFigures {
    /// What the node said last.
    pub fn figures(&self) -> BitcoinMetrics {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks again and again, for as long as the returned future is polled.
    pub async fn look(&self, chain: &dyn ChainSource) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // The follower tells the operator when the node is away; here its figures are then merely unknown.
            let figures = chain.info().await.map_or_else(
                |_| BitcoinMetrics::default(),
                |info| BitcoinMetrics {
                    block_height: info.blockchain.get("blocks").and_then(serde_json::Value::as_u64),
                    connections: info.network.get("connections").and_then(serde_json::Value::as_u64),
                    mempool_size: info.mempool.get("size").and_then(serde_json::Value::as_u64),
                    verification_progress: info
                        .blockchain
                        .get("verificationprogress")
                        .and_then(serde_json::Value::as_f64),
                },
            );
            *self.last.write().unwrap_or_else(PoisonError::into_inner) = figures;
        }
    }
}
