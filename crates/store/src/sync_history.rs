//! Syncs that the relay took part in: opaque records, the newest [`KEPT_SYNCS`].

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::format::{KEPT_SYNCS, SYNC_HISTORY};
use crate::{Store, StoreError};

impl Store {
    /// Adds records, oldest first, in one commit; the oldest of the table go when there are more than [`KEPT_SYNCS`].
    pub fn add_syncs(&self, records: &[Vec<u8>]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin_write()?;
        {
            let mut table = tx.open_table(SYNC_HISTORY)?;
            let newest = table.last()?.map_or(0, |(key, _)| key.value());
            for (key, record) in (newest + 1..).zip(records) {
                table.insert(key, record.as_slice())?;
            }
            while table.len()? > KEPT_SYNCS {
                table.pop_first()?;
            }
        }
        tx.commit()?;
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
