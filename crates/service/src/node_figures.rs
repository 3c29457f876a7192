//! Figures of the node for `/metrics`.

use sdk_relay_chain::ChainSource;
use sdk_relay_protocol::http::BitcoinMetrics;
use serde_json::Value;

/// The node's figures; empty while it does not answer, which the follower logs.
pub async fn node_figures(chain: &dyn ChainSource) -> BitcoinMetrics {
    chain.info().await.map_or_else(
        |_| BitcoinMetrics::default(),
        |info| BitcoinMetrics {
            block_height: info.blockchain.get("blocks").and_then(Value::as_u64),
            connections: info.network.get("connections").and_then(Value::as_u64),
            mempool_size: info.mempool.get("size").and_then(Value::as_u64),
            verification_progress: info.blockchain.get("verificationprogress").and_then(Value::as_f64),
        },
    )
}
