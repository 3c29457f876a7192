//! The tweak index while the relay runs: built in the background, read by whoever wants history.
//!
//! Guarantees: the index follows the node's best chain, whatever it does; what it costs is bounded (`index.scan_threads` threads of low
//! priority, and [`builder`]'s bounds for what is in flight); detection never waits for it.

mod builder;
mod missing;
mod pool;
mod problems;
mod progress;
mod repair;
mod scan;
mod status;
mod tweaks;

use std::sync::Arc;

use sdk_relay_store::TweakIndex;
use tokio::sync::watch;

pub use builder::Builder;
pub use pool::Pool;
pub(crate) use pool::give_way;
pub(crate) use problems::NEARLY;
pub use progress::show_progress;
pub(crate) use progress::{AboveBars, new_bar};
pub use scan::{Paid, Scanned, scan, scan_within};
pub use status::{IndexFigures, IndexState, IndexStatus};
pub(crate) use tweaks::indexed;

/// The index as requests and connections see it.
#[derive(Clone, Debug)]
pub struct Index {
    /// What is in it.
    pub store: Arc<TweakIndex>,
    /// How far it is.
    pub status: watch::Receiver<IndexStatus>,
    /// What building has cost since the start.
    pub figures: watch::Receiver<IndexFigures>,
    /// The threads that build it and scan it.
    pub pool: Arc<Pool>,
}
