//! What outlives a crash: the recent chain, the event log, the payments of the relay's own wallets, the history of syncs.
//!
//! One writer commits a [`Batch`]; the new tip, the events that it brought and the payments that they changed become durable together or not
//! at all. Readers see whole commits only. [`mod@format`] describes the file. The tweak index ([`index`])
//! has files of its own: it is made from the chain, and may be removed and built anew.

mod batch;
mod db;
mod error;
pub mod format;
pub mod index;
mod log;
mod open;
mod sync_history;

pub use batch::{Batch, BlockChange};
pub use db::Medium;
pub use error::{OpenError, StoreError};
pub use index::TweakIndex;
pub use log::{LogEntry, ReadLimit};
pub use open::{Retention, Store};

#[cfg(test)]
mod tests;
