//! Applies a commit to the file.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use crate::format::{
    BLOCKS, KEPT_BLOCKS, LOG, META, META_COMPLETE_FROM, META_HOLE_BEFORE, META_LOG_BYTES, META_NEXT_EVENT, PAYMENTS,
};
use crate::meta::value;
use crate::outpoint::outpoint_key;
use crate::record::{self, Record};
use crate::{Batch, BlockChange, LogEntry, Retention, Store, StoreError};

impl Store {
    pub(crate) fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let tx = self.db.begin_write()?;
        {
            let mut meta = tx.open_table(META)?;
            if is_committed(&tx, &meta, &batch.events)? {
                return Ok(());
            }
            if let Some(change) = batch.block {
                apply_block(&tx, &mut meta, change)?;
            }
            append(&tx, &mut meta, &batch.events, self.retention)?;
            let mut payments = tx.open_table(PAYMENTS)?;
            for (outpoint, record) in &batch.payments {
                match record {
                    Some(bytes) => payments.insert(&outpoint_key(*outpoint), bytes.as_slice())?,
                    None => payments.remove(&outpoint_key(*outpoint))?,
                };
            }
        }
        tx.commit()?;
        Ok(())
    }
}

/// Whether these events are already the newest of the log: a commit that returned an error may still have become
/// durable. Not needed for a batch without events, which is idempotent.
fn is_committed(tx: &WriteTransaction, meta: &Table<'_, &str, u64>, events: &[LogEntry]) -> Result<bool, StoreError> {
    let Some(last) = events.last() else {
        return Ok(false);
    };
    if value(meta, META_NEXT_EVENT, 1)? != last.id.saturating_add(1) {
        return Ok(false);
    }
    let table = tx.open_table(LOG)?;
    let newest = table.get(last.id)?;
    Ok(newest.is_some_and(|record| record.value() == record::encode(last)))
}

fn apply_block(tx: &WriteTransaction, meta: &mut Table<'_, &str, u64>, change: BlockChange) -> Result<(), StoreError> {
    let mut blocks = tx.open_table(BLOCKS)?;
    match change {
        BlockChange::Connect(height, hash) => {
            blocks.insert(height, &hash.to_byte_array())?;
            if let Some(last) = height.checked_sub(KEPT_BLOCKS) {
                blocks.retain_in(..=last, |_, _| false)?;
            }
        }
        BlockChange::Disconnect { height, parent } => {
            blocks.remove(height)?;
            // The table must not become empty: without a block to resume from, the stream would restart at the tip and
            // lose the blocks in between.
            if let Some(below) = height.checked_sub(1) {
                blocks.insert(below, &parent.to_byte_array())?;
            }
        }
        // The batch is committed a second time: it must not add a hole after itself.
        BlockChange::Jump(height, hash) if is_only_block(&blocks, height, hash)? => {}
        BlockChange::Jump(height, hash) => {
            let next = value(meta, META_NEXT_EVENT, 1)?;
            meta.insert(META_COMPLETE_FROM, next)?;
            // The first block ever skips no other.
            if !blocks.is_empty()? {
                meta.insert(META_HOLE_BEFORE, next)?;
            }
            blocks.retain(|_, _| false)?;
            blocks.insert(height, &hash.to_byte_array())?;
        }
    }
    Ok(())
}

fn is_only_block(blocks: &Table<'_, u32, &[u8; 32]>, height: u32, hash: BlockHash) -> Result<bool, StoreError> {
    let newest = blocks.last()?;
    let is_it = newest.is_some_and(|(h, known)| h.value() == height && *known.value() == hash.to_byte_array());
    Ok(is_it && blocks.len()? == 1)
}

fn append(
    tx: &WriteTransaction,
    meta: &mut Table<'_, &str, u64>,
    new: &[LogEntry],
    retention: Retention,
) -> Result<(), StoreError> {
    let Some(first_new) = new.first().map(|entry| entry.id) else {
        return Ok(());
    };
    let mut events = tx.open_table(LOG)?;
    let mut next = value(meta, META_NEXT_EVENT, 1)?;
    let mut bytes = value(meta, META_LOG_BYTES, 0)?;
    for entry in new {
        if entry.id != next {
            return Err(StoreError::OutOfSequence {
                expected: next,
                found: entry.id,
            });
        }
        bytes += entry.payload.len() as u64;
        events.insert(entry.id, record::encode(entry).as_slice())?;
        next += 1;
    }
    // The last commit is kept whatever its size, so all parts of a large block stay together: otherwise every resume
    // would be a gap. Only the bound on the number of events applies to it too.
    while events.len()? > 1 {
        let is_old = events.first()?.is_some_and(|(id, _)| id.value() < first_new);
        if events.len()? <= retention.events && (bytes <= retention.bytes || !is_old) {
            break;
        }
        let Some((id, record)) = events.pop_first()? else {
            break;
        };
        let id = id.value();
        // A damaged record must not prevent writes to the log.
        let size = Record::parse(record.value()).map_or(0, |record| record.payload().len());
        bytes = bytes.saturating_sub(size as u64);
        meta.insert(META_COMPLETE_FROM, value(meta, META_COMPLETE_FROM, 1)?.max(id + 1))?;
    }
    meta.insert(META_NEXT_EVENT, next)?;
    meta.insert(META_LOG_BYTES, bytes)?;
    Ok(())
}
