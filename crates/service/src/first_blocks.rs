//! The blocks at which scans since a time begin: one search at a time asks the node, for all clients.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_chain::{BlockRef, ChainSource, FirstBlockSearch, SourceError};
use sdk_relay_platform::clock::unix_now;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Deadline of a search, with the wait for those of other clients. It takes less than a second of a node that answers.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
/// Age up to which an error answers others who waited: they need not ask a node that hangs.
const FRESH_ERROR: Duration = Duration::from_secs(1);

/// Why no block is named.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FirstBlockError {
    /// No block can be of that time yet.
    #[error("there is no block since that time, which is in the future: it is {now} (Unix seconds) now")]
    Future {
        /// The present time, Unix seconds.
        now: u64,
    },
    /// The node does not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The node, or the searches before this one, take too long.
    #[error("no block was found within {} s, because the node is slow or many ask for one: try again later", FOUND_WITHIN.as_secs())]
    TooLong,
}

/// Finds first blocks. Cheap to share.
pub struct FirstBlocks {
    chain: Arc<dyn ChainSource>,
    /// Held while the node is asked.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    search: FirstBlockSearch,
    failed: Option<(Instant, SourceError)>,
}

impl FirstBlocks {
    /// For the blocks of this source. Does no I/O.
    pub fn new(chain: Arc<dyn ChainSource>) -> Self {
        Self {
            chain,
            state: Mutex::default(),
        }
    }

    /// The first block that has to be scanned for payments since this time (Unix seconds).
    ///
    /// # Errors
    /// The time is in the future, or the node does not answer in time.
    pub async fn since(&self, time: u64) -> Result<BlockRef, FirstBlockError> {
        let now = unix_now();
        if time > now {
            return Err(FirstBlockError::Future { now });
        }
        timeout(FOUND_WITHIN, self.search(time))
            .await
            .map_err(|_| FirstBlockError::TooLong)?
            .map_err(FirstBlockError::Source)
    }

    async fn search(&self, time: u64) -> Result<BlockRef, SourceError> {
        let mut state = self.state.lock().await;
        if let Some((at, error)) = &state.failed
            && at.elapsed() < FRESH_ERROR
        {
            return Err(error.clone());
        }
        let found = state.search.first_block_since(&*self.chain, time).await;
        state.failed = found.as_ref().err().map(|error| (Instant::now(), error.clone()));
        found
    }
}
