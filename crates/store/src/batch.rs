//! What one commit changes, and how.

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint};
use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use crate::format::{
    BLOCKS, EVENTS, KEPT_BLOCKS, META, META_COMPLETE_FROM, META_HOLE_BEFORE, META_LOG_BYTES, META_NEXT_EVENT, PAYMENTS,
};
use crate::{LogEntry, Retention, Store, StoreError};

/// A change of the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChange {
    /// The block at this height becomes the tip.
    Connect(u32, BlockHash),
    /// The tip goes; its parent holds again, and is known from now on if it was not.
    Disconnect {
        /// Of the block that goes.
        height: u32,
        /// Hash of the block below it.
        parent: BlockHash,
    },
    /// The chain goes on from this block, with a hole before it: events of the hole are lost.
    Jump(u32, BlockHash),
}

/// What is committed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The tip's change, if any.
    pub block: Option<BlockChange>,
    /// New events. Their ids go on from [`Store::next_event_id`] without holes.
    pub events: Vec<LogEntry>,
    /// Payments of the relay's own wallets: `Some` is written, `None` is deleted.
    pub payments: Vec<(OutPoint, Option<Vec<u8>>)>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.block.is_none() && self.events.is_empty() && self.payments.is_empty()
    }
}

impl Store {
    /// Makes the batch durable: when this returns, it survives a kill and a power cut. After an error of the database all of it is in the store or
    /// nothing: the same batch is to be committed again, which changes nothing where it is there already.
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let tx = self.db.begin_write()?;
        {
            let mut meta = tx.open_table(META)?;
            if is_there(&tx, &meta, &batch.events)? {
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

    /// The payments of the relay's own wallets, in no order.
    pub fn payments(&self) -> Result<Vec<(OutPoint, Vec<u8>)>, StoreError> {
        let table = self.db.begin_read()?.open_table(PAYMENTS)?;
        let mut all = Vec::new();
        for item in table.iter()? {
            let (key, value) = item?;
            all.push((outpoint_from(key.value()), value.value().to_vec()));
        }
        Ok(all)
    }
}

/// Whether these events are the newest of the log: a commit that failed while the disk took its last bytes may have succeeded all the same.
/// A batch without events needs no such look, as to apply it twice is to apply it once.
fn is_there(tx: &WriteTransaction, meta: &Table<'_, &str, u64>, events: &[LogEntry]) -> Result<bool, StoreError> {
    let Some(last) = events.last() else {
        return Ok(false);
    };
    if value(meta, META_NEXT_EVENT, 1)? != last.id.saturating_add(1) {
        return Ok(false);
    }
    let table = tx.open_table(EVENTS)?;
    let newest = table.get(last.id)?;
    Ok(newest.is_some_and(|record| record.value() == last.to_record().as_slice()))
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
            // The table is never left empty: without a block to go on from, the stream would begin anew and lose those in between.
            if let Some(below) = height.checked_sub(1) {
                blocks.insert(below, &parent.to_byte_array())?;
            }
        }
        BlockChange::Jump(height, hash) => {
            let next = value(meta, META_NEXT_EVENT, 1)?;
            meta.insert(META_COMPLETE_FROM, next)?;
            // The first block of all leaves nothing out.
            if !blocks.is_empty()? {
                meta.insert(META_HOLE_BEFORE, next)?;
            }
            blocks.retain(|_, _| false)?;
            blocks.insert(height, &hash.to_byte_array())?;
        }
    }
    Ok(())
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
    let mut events = tx.open_table(EVENTS)?;
    let mut next = value(meta, META_NEXT_EVENT, 1)?;
    let mut bytes = value(meta, META_LOG_BYTES, 0)?;
    for entry in new {
        if entry.id != next {
            return Err(StoreError::OutOfSequence {
                expected: next,
                found: entry.id,
            });
        }
        let record = entry.to_record();
        bytes += record.len() as u64;
        events.insert(entry.id, record.as_slice())?;
        next += 1;
    }
    // What was committed last stays whatever its size, the parts of a large block together: a log that forgets at once would make every resume
    // a gap. Only the bound on the number of events holds for it too.
    while events.len()? > 1 {
        let is_old = events.first()?.is_some_and(|(id, _)| id.value() < first_new);
        if events.len()? <= retention.events && (bytes <= retention.bytes || !is_old) {
            break;
        }
        let Some((id, size)) = events.pop_first()?.map(|(k, v)| (k.value(), v.value().len() as u64)) else {
            break;
        };
        bytes = bytes.saturating_sub(size);
        meta.insert(META_COMPLETE_FROM, value(meta, META_COMPLETE_FROM, 1)?.max(id + 1))?;
    }
    meta.insert(META_NEXT_EVENT, next)?;
    meta.insert(META_LOG_BYTES, bytes)?;
    Ok(())
}

pub(crate) fn value(
    meta: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
    default: u64,
) -> Result<u64, StoreError> {
    Ok(meta.get(name)?.map_or(default, |v| v.value()))
}

fn outpoint_key(outpoint: OutPoint) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(&outpoint.txid.to_byte_array());
    key[32..].copy_from_slice(&outpoint.vout.to_be_bytes());
    key
}

fn outpoint_from(key: &[u8; 36]) -> OutPoint {
    let (mut txid, mut vout) = ([0; 32], [0; 4]);
    txid.copy_from_slice(&key[..32]);
    vout.copy_from_slice(&key[32..]);
    OutPoint {
        txid: bitcoin::Txid::from_byte_array(txid),
        vout: u32::from_be_bytes(vout),
    }
}
