//! Durable state: the recent chain, the event log, the payments of the relay's own wallets, the history of syncs.
//!
//! One writer commits a [`Batch`]: the new tip, its events and the payments that they change become durable atomically.
//! Readers see complete commits only. [`EventLog`] is the interface; [`Store`] implements it in a file, whose format is
//! in [`mod@format`]. The tweak index ([`index`]) has its own files: it is derived from the chain, and may be deleted
//! and rebuilt.

mod commit;
mod db;
mod entry;
mod error;
mod event_log;
pub mod format;
mod identity;
pub mod index;
mod log;
mod meta;
mod migrate;
mod open;
mod outpoint;
mod record;
mod sync_history;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use db::Medium;
pub use entry::{EventKind, InvalidBlockHash, LogEntry};
pub use error::{OpenError, StoreError};
pub use event_log::{Batch, BlockChange, EventLog, ReadLimit, Retention};
pub use index::TweakIndex;
pub use open::Store;

#[cfg(test)]
mod tests;
