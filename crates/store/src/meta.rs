//! Entries of the table `meta`.

use redb::ReadableTable;

use crate::StoreError;

pub(crate) fn value(
    meta: &impl ReadableTable<&'static str, u64>,
    name: &'static str,
    default: u64,
) -> Result<u64, StoreError> {
    Ok(meta.get(name)?.map_or(default, |v| v.value()))
}
