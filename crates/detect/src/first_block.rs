//! The block at which a relay begins that has never seen one.
//!
//! Clients get whatever happens after their handshake. Before a first block is known there is nothing to count from: a
//! block that is mined then would not be sent to anybody. So the node is asked for its tip before the first client is
//! let in, and the log begins there.

use std::time::Duration;

use sdk_relay_chain::{BlockRef, ChainSource, SourceError};
use sdk_relay_store::{Batch, BlockChange, EventLog, StoreError};

/// The start waits for the node's answer this long. A node that is down refuses at once; one that loads its chain
/// answers so at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Commits the source's tip as the first block of a new log. Where the source does not answer, or synchronises, the log
/// begins with the first tip that it names later, and clients that come before are sent `"resume": "gap"`.
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
    let asked: Result<Result<_, SourceError>, _> = tokio::time::timeout(ANSWER_WITHIN, source.status()).await;
    match asked {
        Ok(Ok(status)) if !status.is_syncing() => Some(status.tip),
        Ok(Ok(_)) => None,
        // The follower logs what is wrong, and asks again.
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
