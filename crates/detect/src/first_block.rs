//! The first block of a new relay.
//!
//! Clients receive every event after their handshake. Before a first block is known, a newly mined block could not be
//! recognised as new, and would not be sent. So the relay requests the tip of the node before it accepts the first
//! client, and the log begins there.

use std::time::Duration;

use sdk_relay_chain::{BlockRef, ChainSource, SourceError};
use sdk_relay_store::{Batch, BlockChange, EventLog, StoreError};

/// Longest wait for the answer of the node at the start. A stopped node refuses the connection immediately; a loading
/// one answers so immediately.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Commits the source's tip as the first block of a new log. If the source does not answer, or is synchronising, the
/// log begins with the first tip that it reports later, and clients that connect before receive `"resume": "gap"`.
pub async fn begin_log(log: &dyn EventLog, source: &dyn ChainSource) -> Result<(), StoreError> {
    if !log.recent_blocks()?.is_empty() {
        return Ok(());
    }
    let Some(BlockRef { height, hash }) = tip(source).await else {
        return Ok(());
    };
    tracing::info!(height, %hash, "starting at the tip of the node");
    log.commit(&Batch {
        block: Some(BlockChange::Jump(height, hash)),
        ..Batch::default()
    })
}

async fn tip(source: &dyn ChainSource) -> Option<BlockRef> {
    let answer: Result<Result<_, SourceError>, _> = tokio::time::timeout(ANSWER_WITHIN, source.status()).await;
    match answer {
        Ok(Ok(status)) if !status.is_syncing() => Some(status.tip),
        Ok(Ok(_)) => None,
        // The follower logs the problem, and retries.
        Ok(Err(error)) => {
            tracing::debug!(%error, "cannot determine the first block yet; retrying");
            None
        }
        Err(_) => {
            tracing::debug!("cannot determine the first block yet: the node does not answer in time");
            None
        }
    }
}
