//! The tip with its header, for all connections: the node is asked once for each.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use bitcoin::consensus::encode::serialize_hex;
use sdk_relay_chain::ChainSource;
use sdk_relay_events::Hub;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Wait after the node has not answered.
const RETRY: Duration = Duration::from_secs(1);

/// The newest block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) hash: BlockHash,
    /// `{"height":…,"hex":"…"}`.
    pub(crate) header: Arc<str>,
}

/// Follows the tip of detection. Ends with the relay.
pub(crate) async fn follow(hub: &Hub, chain: &dyn ChainSource, within: Duration, tip: watch::Sender<Option<Tip>>) {
    let mut head = hub.head();
    loop {
        head.borrow_and_update();
        let newest = hub.tip().and_then(|height| Some((height, hub.hash_at(height)?)));
        let is_known = |hash| tip.borrow().as_ref().is_some_and(|tip| tip.hash == hash);
        if let Some((height, hash)) = newest
            && !is_known(hash)
        {
            match timeout(within, chain.header(hash)).await {
                Ok(Ok(header)) => {
                    let header = format!(r#"{{"height":{height},"hex":"{}"}}"#, serialize_hex(&header)).into();
                    tip.send_replace(Some(Tip { hash, header }));
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the header of the tip is not available yet");
                    sleep(RETRY).await;
                    continue;
                }
                Err(_) => continue,
            }
        }
        if head.changed().await.is_err() {
            // The hub ends with the relay.
            return std::future::pending().await;
        }
    }
}
