//! For tests only: a log in memory, a conformance suite for logs, and files of older versions.

pub mod conformance;
mod format_1;
mod memory;

use std::path::Path;

use crate::migrate::{SLICE, Slice};
use crate::{Medium, OpenError, Retention, Store};

pub use format_1::{Format1, downgrade, tweaks_of_a_block};
pub use memory::MemoryLog;

/// Opens a store with small migration transactions.
pub fn open_in_slices(
    medium: Box<dyn Medium>,
    network: &str,
    retention: Retention,
    events: u64,
) -> Result<Store, OpenError> {
    let slice = Slice { events, ..SLICE };
    Store::open_in_slices(medium, Path::new("memory"), network, retention, slice)
}
