//! Queue of scans for the scanner of histories.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::history_scan::Scan;
use super::mailbox::Mailbox;

/// Holds at most one scan per watch, so it is bounded by `limits.watches` and never refuses one.
#[derive(Debug, Default)]
pub(super) struct ScanQueue {
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    scans: BTreeMap<String, Scan>,
    is_closed: bool,
}

impl ScanQueue {
    /// Adds the scan of a watch; replaces one that is still queued.
    pub(super) fn add(&self, scan: Scan) {
        self.lock().scans.insert(scan.watch_id.clone(), scan);
        self.added.notify_one();
    }

    /// Removes the scan of a watch that has ended.
    pub(super) fn remove(&self, watch_id: &str) {
        self.lock().scans.remove(watch_id);
    }

    /// Removes the scans of a connection that has ended.
    pub(super) fn remove_of(&self, mailbox: &Mailbox) {
        self.lock().scans.retain(|_, scan| !scan.mailbox.is_same(mailbox));
    }

    /// The queued scans, without waiting.
    pub(super) fn take(&self) -> Vec<Scan> {
        std::mem::take(&mut self.lock().scans).into_values().collect()
    }

    /// The queued scans, once there are any; `None` when detection has ended. Cancel-safe.
    pub(super) async fn next(&self) -> Option<Vec<Scan>> {
        loop {
            let added = self.added.notified();
            let scans = self.take();
            if !scans.is_empty() {
                return Some(scans);
            }
            if self.lock().is_closed {
                return None;
            }
            added.await;
        }
    }

    /// Closes the queue at the end of detection.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.added.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
