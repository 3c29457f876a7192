//! The event log in the file.

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint};
use redb::ReadableTable;

use crate::format::{BLOCKS, LOG, META, META_COMPLETE_FROM, META_HOLE_BEFORE, META_NEXT_EVENT, PAYMENTS};
use crate::meta::value;
use crate::outpoint::outpoint_from;
use crate::record::Record;
use crate::{Batch, EventKind, EventLog, LogEntry, ReadLimit, Store, StoreError};

impl EventLog for Store {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch)
    }

    fn begin_log(&self, first: u64) -> Result<(), StoreError> {
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

    fn next_event_id(&self) -> Result<u64, StoreError> {
        self.meta(META_NEXT_EVENT, 1)
    }

    fn complete_from(&self) -> Result<u64, StoreError> {
        self.meta(META_COMPLETE_FROM, 1)
    }

    fn hole_before(&self) -> Result<u64, StoreError> {
        self.meta(META_HOLE_BEFORE, 0)
    }

    fn recent_blocks(&self) -> Result<Vec<(u32, BlockHash)>, StoreError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let mut blocks = Vec::new();
        for item in table.iter()? {
            let (height, hash) = item?;
            blocks.push((height.value(), BlockHash::from_byte_array(*hash.value())));
        }
        Ok(blocks)
    }

    fn payments(&self) -> Result<Vec<(OutPoint, Vec<u8>)>, StoreError> {
        let table = self.db.begin_read()?.open_table(PAYMENTS)?;
        let mut all = Vec::new();
        for item in table.iter()? {
            let (key, value) = item?;
            all.push((outpoint_from(key.value()), value.value().to_vec()));
        }
        Ok(all)
    }

    fn read_after(&self, after: u64, limit: ReadLimit) -> Result<Vec<LogEntry>, StoreError> {
        let table = self.db.begin_read()?.open_table(LOG)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let Some(first) = after.checked_add(1) else {
            return Ok(entries);
        };
        for item in table.range(first..)? {
            let (id, record) = item?;
            let record = Record::parse(record.value())?;
            bytes += record.payload().len();
            if !entries.is_empty() && bytes > limit.bytes {
                break;
            }
            entries.push(record.to_entry(id.value())?);
            if entries.len() >= limit.events {
                break;
            }
        }
        Ok(entries)
    }

    fn newest_about(&self, kind: EventKind, block: BlockHash, look_back: usize) -> Result<Option<u64>, StoreError> {
        let table = self.db.begin_read()?.open_table(LOG)?;
        for item in table.iter()?.rev().take(look_back) {
            let (id, record) = item?;
            let record = Record::parse(record.value())?;
            if record.kind() == kind && record.block_hash() == Some(block) {
                return Ok(Some(id.value()));
            }
        }
        Ok(None)
    }
}

impl Store {
    fn meta(&self, name: &'static str, default: u64) -> Result<u64, StoreError> {
        value(&self.db.begin_read()?.open_table(META)?, name, default)
    }
}
