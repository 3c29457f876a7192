//! History of syncs: opaque records, the newest [`KEPT_SYNCS`].

use std::sync::PoisonError;

use redb::{ReadableTable, ReadableTableMetadata};

use crate::format::{KEPT_SYNCS, SYNC_HISTORY};
use crate::{Store, StoreError};

impl Store {
    /// Adds records, oldest first, in one commit; the oldest are removed if there are more than [`KEPT_SYNCS`]. After
    /// an error, add the same records again, followed by later ones: records that are already there are not duplicated.
    pub fn add_syncs(&self, records: &[Vec<u8>]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut uncertain = self.uncertain_syncs.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = self.db.begin_write()?;
        {
            let mut table = tx.open_table(SYNC_HISTORY)?;
            let newest = table.last()?.map_or(0, |(key, _)| key.value());
            let records = match *uncertain {
                Some(before) if newest > before => {
                    let last = table.last()?.map(|(_, record)| record.value().to_vec());
                    let there = records
                        .iter()
                        .take((newest - before) as usize)
                        .rposition(|r| Some(r) == last.as_ref());
                    records.get(there.map_or(0, |at| at + 1)..).unwrap_or(&[])
                }
                _ => records,
            };
            uncertain.get_or_insert(newest);
            for (key, record) in (newest + 1..).zip(records) {
                table.insert(key, record.as_slice())?;
            }
            while table.len()? > KEPT_SYNCS {
                table.pop_first()?;
            }
        }
        tx.commit()?;
        *uncertain = None;
        Ok(())
    }

    /// All records, oldest first.
    pub fn syncs(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let table = self.db.begin_read()?.open_table(SYNC_HISTORY)?;
        let mut all = Vec::new();
        for item in table.iter()? {
            all.push(item?.1.value().to_vec());
        }
        Ok(all)
    }
}
