//! Where events come from.

use std::fmt::Debug;
use std::sync::Arc;

use sdk_relay_store::{EventLog, LogEntry, ReadLimit, StoreError};
use tokio::sync::watch;

/// A log of numbered events that an endpoint follows with a position. The functions read the disk: call them on a
/// blocking thread.
pub trait EventSource: Debug + Send + Sync + 'static {
    /// The id of the newest event, and each change of it. Also changes when blocks were skipped.
    fn head(&self) -> watch::Receiver<u64>;

    /// The lowest event id from which the log is complete.
    fn complete_from(&self) -> Result<u64, StoreError>;

    /// The lowest id of an event that can be read; that of the next event if there is none.
    fn oldest(&self) -> Result<u64, StoreError>;

    /// The first event id after the newest run of skipped blocks; 0 if there is none.
    fn hole_before(&self) -> Result<u64, StoreError>;

    /// Events with a larger id than `after`, in order, up to the limit.
    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError>;
}

/// One event, whatever its size.
const ONE: ReadLimit = ReadLimit { events: 1, bytes: 0 };

/// The event log of the relay.
#[derive(Debug)]
pub struct LogSource {
    log: Arc<dyn EventLog>,
    head: watch::Receiver<u64>,
}

impl LogSource {
    /// The events of this log. `head` is the id of its newest event.
    pub fn new(log: Arc<dyn EventLog>, head: watch::Receiver<u64>) -> Self {
        Self { log, head }
    }
}

impl EventSource for LogSource {
    fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    fn complete_from(&self) -> Result<u64, StoreError> {
        self.log.complete_from()
    }

    fn oldest(&self) -> Result<u64, StoreError> {
        let first = self.log.read_after(0, ONE)?;
        match first.first() {
            Some(entry) => Ok(entry.id),
            None => self.log.next_event_id(),
        }
    }

    fn hole_before(&self) -> Result<u64, StoreError> {
        self.log.hole_before()
    }

    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError> {
        self.log.read_after(after, limit)
    }
}
