//! Completed syncs: in memory, and in the store so that they survive restarts.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::http::{SyncOutcome, SyncRecord};
use sdk_relay_protocol::{SyncType, encode};
use sdk_relay_store::format::KEPT_SYNCS;
use sdk_relay_store::{Store, StoreError};
use tokio::sync::Notify;

use super::Asker;

/// Interval of writes. Each syncs the disk, and clients decide how many syncs there are; a crash loses the entries of
/// this time at most.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Entries kept, in memory and in the store.
const KEPT: usize = KEPT_SYNCS as usize;
/// Longest error of an entry in bytes; longer ones are truncated. All other fields are limited when they are parsed, so
/// that the history uses some megabytes at most.
const ERROR_BYTES: usize = 256;
/// Syncs of unauthenticated connections in the history: a burst, and then six per minute. Without a limit, anybody
/// could evict those of the mesh within two minutes.
const UNPROVEN_AT_ONCE: NonZeroU32 = NonZeroU32::new(100).unwrap();
const UNPROVEN_PER_MINUTE: NonZeroU32 = NonZeroU32::new(6).unwrap();

/// The newest syncs, at most [`KEPT_SYNCS`], which also limits those that are not saved yet.
#[derive(Debug)]
pub struct History {
    store: Arc<Store>,
    inner: RwLock<Inner>,
    /// Held while the store is written, so that no entry is written twice.
    saving: Mutex<Saving>,
    new: Notify,
    unproven: DefaultDirectRateLimiter,
}

#[derive(Debug, Default)]
struct Inner {
    /// Oldest first.
    records: VecDeque<SyncRecord>,
    /// Number of the newest that are not in the store yet.
    unsaved: usize,
}

#[derive(Debug, Default)]
struct Saving {
    fails: bool,
}

/// A filter for entries.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Of this Unix second and later.
    pub since: Option<u64>,
    /// Of this type.
    pub sync_type: Option<SyncType>,
    /// With this other side.
    pub target_relay: Option<String>,
    /// With this outcome.
    pub status: Option<SyncOutcome>,
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The newest that match, newest first.
    pub records: Vec<SyncRecord>,
    /// Number of matching entries that succeeded.
    pub successful: u64,
    /// Number of matching entries that failed.
    pub failed: u64,
}

impl History {
    /// Opens the history with the entries of the store. Those that cannot be decoded are ignored.
    pub fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let records: VecDeque<SyncRecord> = store
            .syncs()?
            .iter()
            .filter_map(|bytes| {
                serde_json::from_slice(bytes)
                    .inspect_err(
                        |error| tracing::warn!(%error, "ignoring an entry of the sync history that cannot be decoded"),
                    )
                    .ok()
            })
            .collect();
        Ok(Self {
            store,
            inner: RwLock::new(Inner { records, unsaved: 0 }),
            saving: Mutex::default(),
            new: Notify::new(),
            unproven: RateLimiter::direct(Quota::per_minute(UNPROVEN_PER_MINUTE).allow_burst(UNPROVEN_AT_ONCE)),
        })
    }

    /// Adds a completed sync. Those of unauthenticated peers are rate-limited; the counters include all.
    pub fn add(&self, asker: &Asker, mut record: SyncRecord) {
        if !asker.is_proven() && self.unproven.check().is_err() {
            return;
        }
        if let Some(error) = &mut record.error {
            error.truncate(error.floor_char_boundary(ERROR_BYTES));
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.records.push_back(record);
        if inner.records.len() > KEPT {
            inner.records.pop_front();
        }
        inner.unsaved = (inner.unsaved + 1).min(inner.records.len());
        drop(inner);
        self.new.notify_one();
    }

    /// The newest `limit` entries that match, and the number of all that match.
    pub fn page(&self, filter: &HistoryFilter, limit: usize) -> Page {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut page = Page {
            records: Vec::new(),
            successful: 0,
            failed: 0,
        };
        for record in inner.records.iter().rev().filter(|r| filter.matches(r)) {
            match record.status {
                SyncOutcome::Success => page.successful += 1,
                SyncOutcome::Failed => page.failed += 1,
            }
            if page.records.len() < limit {
                page.records.push(record.clone());
            }
        }
        page
    }

    /// Unix second of the newest entry.
    pub fn last(&self) -> Option<u64> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.records.back().map(|r| r.timestamp)
    }

    /// Saves new entries while the returned future is polled.
    pub async fn save_regularly(self: Arc<Self>) {
        loop {
            self.new.notified().await;
            let history = Arc::clone(&self);
            if let Err(error) = blocking::spawn(move || history.save()).await {
                tracing::error!(%error, "cannot write the sync history; retrying");
            }
            tokio::time::sleep(SAVE_EVERY).await;
        }
    }

    /// Saves new entries. After a failure they are saved with the next ones.
    pub fn save(&self) {
        let mut saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = self.unsaved();
        match self.store.add_syncs(&batch) {
            Ok(()) => {
                let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
                inner.unsaved -= batch.len().min(inner.unsaved);
                if std::mem::take(&mut saving.fails) {
                    tracing::info!("the sync history can be written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut saving.fails, true) {
                    tracing::error!(%error, "cannot write the sync history: check the disk of data_dir");
                }
            }
        }
    }

    fn unsaved(&self) -> Vec<Vec<u8>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let saved = inner.records.len() - inner.unsaved;
        let new = inner.records.range(saved..);
        new.filter_map(|record| {
            encode(record)
                .inspect_err(
                    |error| tracing::error!(%error, "an entry of the sync history cannot be encoded: please report this bug"),
                )
                .ok()
        })
        .collect()
    }
}

impl HistoryFilter {
    fn matches(&self, record: &SyncRecord) -> bool {
        self.since.is_none_or(|since| record.timestamp >= since)
            && self.sync_type.is_none_or(|t| record.sync_type == t)
            && self.target_relay.as_ref().is_none_or(|t| record.target_relay == *t)
            && self.status.is_none_or(|s| record.status == s)
    }
}

#[cfg(test)]
mod tests;
