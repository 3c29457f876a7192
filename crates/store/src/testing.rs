//! For tests only: a log in memory, what every log has to do, and files as older versions wrote them.

pub mod conformance;
mod format_1;
mod memory;

use std::path::Path;

use crate::migrate::{SLICE, Slice};
use crate::{Medium, OpenError, Retention, Store};

pub use format_1::{Format1, downgrade, tweaks_of_a_block};
pub use memory::MemoryLog;

/// Opens a store whose migration moves so few events in one transaction.
pub fn open_in_slices(
    medium: Box<dyn Medium>,
    network: &str,
    retention: Retention,
    events: u64,
) -> Result<Store, OpenError> {
    let slice = Slice { events, ..SLICE };
    Store::open_in_slices(medium, Path::new("memory"), network, retention, slice)
}
