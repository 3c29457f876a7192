//! What outlives a crash: the recent chain, the event log, the payments of the relay's own wallets, the history of
//! syncs.
//!
//! One writer commits a [`Batch`]; the new tip, the events that it brought and the payments that they changed become
//! durable together or not at all. Readers see whole commits only. That is [`EventLog`]; [`Store`] is one in a file,
//! which [`mod@format`] describes. The tweak index ([`index`]) has files of its own: it is made from the chain, and may
//! be removed and built anew.

mod commit;
mod db;
mod entry;
mod error;
mod event_log;
pub mod format;
pub mod index;
mod log;
mod meta;
mod migrate;
mod open;
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
