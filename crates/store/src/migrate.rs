//! Migration from older formats to the current one, at the first start of a newer version.
//!
//! From format 1: events are moved from table to table in slices, each a transaction of its own: after a kill or a
//! power cut, the next start moves the rest. The log is not read before the migration is complete. An event that cannot
//! be decoded is moved too, without columns: clients receive it unchanged, and the ids stay consecutive.
//!
//! From format 2: see `outputs`.

mod decode;
mod outputs;

use std::path::Path;

use redb::{ReadableTableMetadata, TableError};

use crate::StoreError;
use crate::db::Db;
use crate::format::{EVENTS_1, FORMAT, LOG, META, META_FORMAT, META_LOG_BYTES};
use crate::meta::value;
use crate::record;

/// Size of one migration transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) events: u64,
    /// Size of the events; the one that exceeds it is still included.
    pub(crate) bytes: u64,
}

/// Needs memory and disk for this many bytes, and for one more event.
pub(crate) const SLICE: Slice = Slice {
    events: 4096,
    bytes: 4 << 20,
};
/// The first format whose events are in `log`.
const FORMAT_2: u64 = 2;
/// Bytes between two log lines: about one second.
const REPORT_EVERY: u64 = 32 << 20;

/// Progress of the migration.
#[derive(Debug, Default)]
struct Moved {
    events: u64,
    bytes: u64,
    /// Events that could not be decoded.
    unknown: u64,
}

/// Migrates the file, unless its format is the current one. `path` is its name in the log.
pub(crate) fn to_current(db: &Db, format: u64, path: &Path, slice: Slice) -> Result<(), StoreError> {
    move_events(db, format, path, slice)?;
    if format < FORMAT {
        let restored = outputs::restore(db)?;
        let path = path.display();
        tracing::info!(%path, to = FORMAT, restored, "the payments of the relay's wallets are migrated");
    }
    Ok(())
}

/// From format 1.
fn move_events(db: &Db, format: u64, path: &Path, slice: Slice) -> Result<(), StoreError> {
    let left = match db.begin_read()?.open_table(EVENTS_1) {
        Ok(events) => events.len()?,
        Err(TableError::TableDoesNotExist(_)) if format >= FORMAT_2 => return Ok(()),
        Err(TableError::TableDoesNotExist(_)) => 0,
        Err(error) => return Err(error.into()),
    };
    // The table is empty if version 0.1 has opened a file of a newer format.
    let is_new = left > 0 || format < FORMAT_2;
    let path = path.display();
    if format < FORMAT_2 {
        tracing::info!(%path, format, to = FORMAT, events = left, "migrating the event log; do not start an older version from now on");
    } else if left > 0 {
        tracing::info!(%path, to = FORMAT, events = left, "continuing the migration of the event log");
    }
    let (mut moved, mut reported) = (Moved::default(), 0);
    while move_slice(db, slice, &mut moved)? {
        if moved.bytes - reported >= REPORT_EVERY {
            reported = moved.bytes;
            tracing::info!(%path, events = moved.events, of = left, "migrating the event log");
        }
    }
    if is_new {
        tracing::info!(%path, events = moved.events, "the event log is migrated");
    }
    if moved.unknown > 0 {
        let events = moved.unknown;
        tracing::warn!(%path, events, "events of the log could not be decoded; they are sent to clients unchanged");
    }
    Ok(())
}

/// Moves the oldest events. Returns `false` once there are none left and their table is removed.
fn move_slice(db: &Db, most: Slice, moved: &mut Moved) -> Result<bool, StoreError> {
    let tx = db.begin_write()?;
    let mut slice = Moved::default();
    let is_empty = {
        let mut meta = tx.open_table(META)?;
        // Once an event is moved, a program that reads format 1 would miss it.
        if value(&meta, META_FORMAT, FORMAT_2)? < FORMAT_2 {
            meta.insert(META_FORMAT, FORMAT_2)?;
        }
        let (mut events, mut log) = (tx.open_table(EVENTS_1)?, tx.open_table(LOG)?);
        let mut log_bytes = value(&meta, META_LOG_BYTES, 0)?;
        while slice.events < most.events && slice.bytes < most.bytes {
            let Some((id, old)) = events.pop_first()? else { break };
            let (id, old) = (id.value(), old.value());
            let entry = decode::entry(id, old).unwrap_or_else(|(entry, error)| {
                if moved.unknown + slice.unknown == 0 {
                    tracing::warn!(event_id = id, %error, "cannot decode an event of the log; keeping it as it is");
                }
                slice.unknown += 1;
                entry
            });
            log.insert(id, record::encode(&entry).as_slice())?;
            log_bytes = log_bytes.saturating_sub(old.len() as u64) + entry.payload.len() as u64;
            slice.events += 1;
            slice.bytes += old.len() as u64;
        }
        meta.insert(META_LOG_BYTES, log_bytes)?;
        events.is_empty()?
    };
    if is_empty {
        tx.delete_table(EVENTS_1)?;
    }
    tx.commit()?;
    moved.events += slice.events;
    moved.bytes += slice.bytes;
    moved.unknown += slice.unknown;
    Ok(!is_empty)
}
