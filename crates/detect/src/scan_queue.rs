//! Scans that wait for the scanner of history.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::history_scan::Scan;
use super::mailbox::Mailbox;

/// Holds one scan at most for each watch, so that it is bounded by `limits.watches` and never has to refuse one.
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
    /// Adds a watch's scan; it replaces one that still waits.
    pub(super) fn add(&self, scan: Scan) {
        self.lock().scans.insert(scan.watch_id.clone(), scan);
        self.added.notify_one();
    }

    /// The watch has ended.
    pub(super) fn remove(&self, watch_id: &str) {
        self.lock().scans.remove(watch_id);
    }

    /// The connection of these watches has ended.
    pub(super) fn remove_of(&self, mailbox: &Mailbox) {
        self.lock().scans.retain(|_, scan| !scan.mailbox.is_same(mailbox));
    }

    /// What waits, without waiting for it.
    pub(super) fn take(&self) -> Vec<Scan> {
        std::mem::take(&mut self.lock().scans).into_values().collect()
    }

    /// What waits, once there is something; `None` when detection has ended. Nothing is lost when it is dropped
    /// half-way.
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

    /// Detection ends.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.added.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
