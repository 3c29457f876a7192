//! The file `relay.redb`, a redb database (format 3). All integers have the little-endian encoding of redb.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `log_bytes`, `complete_from`, `next_event`, `hole_before` as `u64` |
//! | `names` | name | `network` as text |
//! | `blocks` | height `u32` | block hash, 32 bytes in consensus order |
//! | `log` | event id `u64` | an event: its columns, then its payload, as below |
//! | `payments` | outpoint: txid 32 bytes in consensus order, vout `u32` big-endian | opaque bytes of the writer |
//! | `sync_history` | sequence `u64` | opaque bytes of the writer (the relay: the JSON text of an entry of `/sync/history`) |
//!
//! - `blocks` has the newest [`KEPT_BLOCKS`] of the chain as of the newest event, without gaps; its last entry is the
//!   tip.
//! - `log` has consecutive ids; its oldest entries are removed when the log exceeds its bounds. `log_bytes` is the
//!   total size of its payloads.
//! - `complete_from` is the lowest event id from which the log is complete; `next_event` the id of the next event.
//! - `hole_before` is the first event id after the newest run of skipped blocks; absent if there is none.
//! - `payments` has the outputs that pay the relay's own wallets: those whose payment or spend a reorganisation can
//!   still revert, and those that are not spent, however old they are.
//! - `sync_history` has the newest [`KEPT_SYNCS`] entries, with consecutive sequence numbers.
//!
//! # An event
//!
//! | offset | bytes | column |
//! |---|---|---|
//! | 0 | 1 | topic: 0 `notifications`, 1 `health`, 2 `metrics`, 3 `sync`, 4 `tweaks` |
//! | 1 | 1 | kind: the number of an [`EventKind`](crate::EventKind) |
//! | 2 | 1 | bit 0: has a height; bit 1: has a block hash |
//! | 3 | 4 | height of the block, `u32` little-endian; 0 without one |
//! | 7 | 32 | block hash in consensus order; zeros without one |
//! | 39 | | payload: the notification's JSON text, as it is sent |
//!
//! # Format 2
//!
//! Written by development versions of 0.2. Its `payments` have no output of a payment that is final, because its
//! programs remove them. `migrate` restores those that the log still reports. A program of format 2 would remove them
//! again, so it must not open the file.
//!
//! # Format 1
//!
//! Written by version 0.1. It has a table `events` instead of `log`, whose values are one byte of topic, then the JSON
//! text; `log_bytes` counts that byte too. `hole_before`, and the table `sync_history`, may be missing. The tweaks of a
//! large block may be one event that exceeds the message limit. `migrate` moves the events to `log` when the file is
//! opened. Its first step sets `format` to 2, and its last to 3; while the table `events` exists, the migration is
//! incomplete, and the next start continues it.
//!
//! The tables have different names because version 0.1 creates its tables in a file before it reads `format`. If a
//! table had the same name and another type, version 0.1 would report a file of format 2 as damaged. Instead it leaves
//! an empty table `events`, which the next start of a newer version removes.

use redb::TableDefinition;

/// Format that this program writes.
pub(crate) const FORMAT: u64 = 3;

/// Recent blocks that the store keeps: one difficulty period, the deepest reorganisation that can be followed block by
/// block.
pub const KEPT_BLOCKS: u32 = 2016;

/// Entries of the sync history. A mesh of ten relays fills it in just under three hours with the default intervals. An
/// entry has about 300 bytes, so the table has about 3 MB.
pub const KEPT_SYNCS: u64 = 10_000;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
pub(crate) const BLOCKS: TableDefinition<'_, u32, &[u8; 32]> = TableDefinition::new("blocks");
pub(crate) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Of format 1.
pub(crate) const EVENTS_1: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
pub(crate) const PAYMENTS: TableDefinition<'_, &[u8; 36], &[u8]> = TableDefinition::new("payments");
pub(crate) const SYNC_HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sync_history");

pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_LOG_BYTES: &str = "log_bytes";
pub(crate) const META_COMPLETE_FROM: &str = "complete_from";
pub(crate) const META_NEXT_EVENT: &str = "next_event";
pub(crate) const META_HOLE_BEFORE: &str = "hole_before";
pub(crate) const NAME_NETWORK: &str = "network";
