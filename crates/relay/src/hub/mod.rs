//! Fan-out: events become bytes once, and every client reads them at its own pace.
//!
//! There is no queue per client. The hub keeps the newest events as [`Frame`]s in one ring; a client is a [`Cursor`] into the log, and reads
//! from the ring, or from the store while it catches up. The hand-over from catching up to live is therefore no event of its own: nothing
//! can be lost or repeated there. Memory does not depend on the number of clients or on how slow they are.

mod cursor;
mod frame;
mod ring;

use std::sync::{Arc, PoisonError, RwLock};

use sdk_relay_protocol::Topic;
use sdk_relay_store::{LogEntry, Store, StoreError};
use tokio::sync::{broadcast, watch};

pub use cursor::{Cursor, Next};
pub use frame::Frame;
use ring::Ring;

/// Reports that wait for a connection. They are snapshots made every few seconds: one that is missed is replaced by the next.
const REPORTS_AHEAD: usize = 16;

/// A report on one of the topics `sync`, `health`, `metrics`.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who hears of it.
    pub topic: Topic,
    /// The `sync` message.
    pub frame: Frame,
}

/// The hub of one relay.
#[derive(Debug)]
pub struct Hub {
    store: Arc<Store>,
    ring: RwLock<Ring>,
    head: watch::Sender<u64>,
    reports: broadcast::Sender<Report>,
}

impl Hub {
    /// A hub over the store's log.
    pub fn new(store: Arc<Store>) -> Result<Self, StoreError> {
        let newest = store.next_event_id()? - 1;
        let (head, _) = watch::channel(newest);
        let (reports, _) = broadcast::channel(REPORTS_AHEAD);
        Ok(Self {
            store,
            ring: RwLock::new(Ring::new(newest)),
            head,
            reports,
        })
    }

    /// Tells events that the store has committed, in the order of their ids.
    pub fn publish(&self, entries: Vec<LogEntry>) {
        let Some(newest) = entries.last().map(|e| e.id) else {
            return;
        };
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            ring.push(entry.id, entry.topic, Frame::from_text(entry.payload));
        }
        drop(ring);
        self.head.send_replace(newest);
    }

    /// The newest event, and a way to hear of newer ones.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Hands a report to whoever listens.
    pub fn report(&self, report: Report) {
        // Nobody listening is fine.
        let _ = self.reports.send(report);
    }

    /// Reports from now on.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }
}

#[cfg(test)]
mod tests;
