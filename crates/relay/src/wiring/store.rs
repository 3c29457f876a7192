//! The store.

use std::time::Duration;

use sdk_relay_chain::BlockRef;
use sdk_relay_config::{Config, DataDir};
use sdk_relay_service::data_files::STORE_FILE;
use sdk_relay_store::{EventLog, OpenError, Retention, Store};
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

/// How long a read of the relay before may take to end.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);
/// Interval between two attempts.
const OPEN_AGAIN: Duration = Duration::from_millis(20);

/// Opens the store. Where an earlier one is gone (an operator has moved a damaged one away), the new log begins above
/// every id of it: a client that resumes with one of those is sent the gap, where it would else be taken for an id of
/// the new log. Unix milliseconds are above all ids of a log that grew by fewer than 1,000 events a second, and
/// JavaScript's numbers hold them.
///
/// After a restart, a read of the relay before may still hold the file for a moment, as nobody waits for threads that
/// only read: it is tried again. No other relay has it, as the data directory is locked.
pub(crate) async fn open_store(data_dir: &DataDir, config: &Config) -> anyhow::Result<Store> {
    let path = data_dir.path().join(STORE_FILE);
    let is_missing = sdk_relay_files::metadata(&path).map_or(true, |file| file.size == 0);
    let retention = Retention {
        events: config.retention.events,
        bytes: config.retention.bytes,
    };
    let until = Instant::now() + RELEASED_WITHIN;
    let store = loop {
        match Store::open(&path, config.network.name(), retention) {
            Err(OpenError::InUse(_)) if Instant::now() < until => tokio::time::sleep(OPEN_AGAIN).await,
            opened => break opened?,
        }
    };
    if is_missing && data_dir.was_used() {
        let first = unix_now().saturating_mul(1000);
        store.begin_log(first)?;
        tracing::warn!(
            first_event_id = first,
            "the event log of this data directory is missing: starting a new one; clients that resume get a gap"
        );
    }
    Ok(store)
}

/// The blocks that the log has last, for the follower to begin at.
pub(crate) fn recent_blocks(store: &Store) -> anyhow::Result<Vec<BlockRef>> {
    let recent = store.recent_blocks()?.into_iter();
    Ok(recent.map(|(height, hash)| BlockRef { height, hash }).collect())
}
