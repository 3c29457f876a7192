//! The file `relay.redb`, a redb database (format 1). All integers are redb's own little-endian encodings.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `log_bytes`, `complete_from`, `next_event`, `hole_before` as `u64` |
//! | `names` | name | `network` as text |
//! | `blocks` | height `u32` | block hash, 32 bytes in consensus order |
//! | `events` | event id `u64` | one byte of topic, then the notification's JSON text |
//! | `payments` | outpoint: txid 32 bytes in consensus order, vout `u32` big-endian | opaque bytes of the writer |
//! | `sync_history` | sequence `u64` | opaque bytes of the writer (the relay: the JSON text of an entry of `/sync/history`) |
//!
//! - `blocks` has the newest [`KEPT_BLOCKS`] of the chain up to which events are logged, without holes; its last entry is the tip.
//! - `events` has no holes; its oldest entries go when the log is over its bounds.
//! - `complete_from` is the lowest event id from which the log is without loss; `next_event` the id of the next event.
//! - `hole_before` is the first event id after blocks that could not be followed; absent where there are none. A file of format 1 from before has no such
//!   entry.
//! - `sync_history` has the newest [`KEPT_SYNCS`], without holes. A file of format 1 that was written before there was this table gets it
//!   when it is opened; a program from before leaves it alone.

use redb::TableDefinition;

/// Format that this program writes.
pub(crate) const FORMAT: u64 = 1;

/// Recent blocks that the store remembers, as many as a difficulty period has: the deepest reorganisation that it can tell block by block.
pub const KEPT_BLOCKS: u32 = 2016;

/// Entries of the sync history. A mesh of ten relays makes as many in a bit less than three hours with the default intervals; one entry
/// has some 300 bytes, so that the table stays at a few megabytes.
pub const KEPT_SYNCS: u64 = 10_000;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
pub(crate) const BLOCKS: TableDefinition<'_, u32, &[u8; 32]> = TableDefinition::new("blocks");
pub(crate) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
pub(crate) const PAYMENTS: TableDefinition<'_, &[u8; 36], &[u8]> = TableDefinition::new("payments");
pub(crate) const SYNC_HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sync_history");

pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_LOG_BYTES: &str = "log_bytes";
pub(crate) const META_COMPLETE_FROM: &str = "complete_from";
pub(crate) const META_NEXT_EVENT: &str = "next_event";
pub(crate) const META_HOLE_BEFORE: &str = "hole_before";
pub(crate) const NAME_NETWORK: &str = "network";
