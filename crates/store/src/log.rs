//! The event log as its readers see it.

use bytes::Bytes;
use redb::ReadableTable;
use sdk_relay_protocol::Topic;

use crate::batch::value;
use crate::format::{EVENTS, META, META_COMPLETE_FROM, META_HOLE_BEFORE, META_NEXT_EVENT};
use crate::{Store, StoreError};

/// One event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number, the `event_id` of the notification.
    pub id: u64,
    /// Who hears of it.
    pub topic: Topic,
    /// The notification as JSON text.
    pub payload: Bytes,
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Events at most.
    pub events: usize,
    /// Bytes of payload at most; one event is always read, whatever its size.
    pub bytes: usize,
}

impl Store {
    /// Begins an empty log at this id: a client that resumes from a lower one is sent the gap. Does nothing once the log has events.
    pub fn begin_log(&self, first: u64) -> Result<(), StoreError> {
        let tx = self.db.begin_write()?;
        {
            let mut meta = tx.open_table(META)?;
            if value(&meta, META_NEXT_EVENT, 1)? > 1 {
                return Ok(());
            }
            meta.insert(META_NEXT_EVENT, first.max(1))?;
            meta.insert(META_COMPLETE_FROM, first.max(1))?;
        }
        tx.commit()?;
        Ok(())
    }

    /// The id that the next event is to have; the newest one's plus one. The first of all is 1.
    pub fn next_event_id(&self) -> Result<u64, StoreError> {
        value(&self.db.begin_read()?.open_table(META)?, META_NEXT_EVENT, 1)
    }

    /// The lowest event id from which the log is without loss. A reader that has dealt with `complete_from - 1` misses no event, and no block either
    /// unless its id is below [`Self::hole_before`].
    pub fn complete_from(&self) -> Result<u64, StoreError> {
        value(&self.db.begin_read()?.open_table(META)?, META_COMPLETE_FROM, 1)
    }

    /// The first event id after blocks that could not be followed, the newest of such; 0 where there are none. A reader that has dealt with lower ids only
    /// misses what these blocks hold.
    pub fn hole_before(&self) -> Result<u64, StoreError> {
        value(&self.db.begin_read()?.open_table(META)?, META_HOLE_BEFORE, 0)
    }

    /// Events with a larger id than `after`, in order, as far as the limit lets.
    pub fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError> {
        let table = self.db.begin_read()?.open_table(EVENTS)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let Some(first) = after.checked_add(1) else {
            return Ok(entries);
        };
        for item in table.range(first..)? {
            let (id, record) = item?;
            let entry = LogEntry::from_record(id.value(), record.value())?;
            bytes += entry.payload.len();
            if !entries.is_empty() && bytes > limit.bytes {
                break;
            }
            entries.push(entry);
            if entries.len() >= limit.events {
                break;
            }
        }
        Ok(entries)
    }

    /// The newest event on this topic that is looked for, as far as the limit lets: what lies further back is not found.
    pub fn newest_event(
        &self,
        topic: Topic,
        limit: ReadLimit,
        is_it: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        let table = self.db.begin_read()?.open_table(EVENTS)?;
        let mut bytes = 0;
        for item in table.iter()?.rev().take(limit.events) {
            let (id, record) = item?;
            let (byte, payload) = record.value().split_first().ok_or(StoreError::Corrupt("events"))?;
            if *byte != topic_byte(topic) {
                continue;
            }
            if is_it(payload) {
                return Ok(Some(id.value()));
            }
            bytes += payload.len();
            if bytes > limit.bytes {
                break;
            }
        }
        Ok(None)
    }
}

impl LogEntry {
    pub(crate) fn to_record(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(1 + self.payload.len());
        record.push(topic_byte(self.topic));
        record.extend_from_slice(&self.payload);
        record
    }

    fn from_record(id: u64, record: &[u8]) -> Result<Self, StoreError> {
        let (byte, payload) = record.split_first().ok_or(StoreError::Corrupt("events"))?;
        let topic = Topic::ALL
            .into_iter()
            .find(|t| topic_byte(*t) == *byte)
            .ok_or(StoreError::Corrupt("events"))?;
        Ok(Self {
            id,
            topic,
            payload: Bytes::copy_from_slice(payload),
        })
    }
}

/// Part of the file's format: never change a number.
fn topic_byte(topic: Topic) -> u8 {
    match topic {
        Topic::Notifications => 0,
        Topic::Health => 1,
        Topic::Metrics => 2,
        Topic::Sync => 3,
        Topic::Tweaks => 4,
    }
}
