//! The tweak index at runtime: built in the background, read for histories and BlindBit routes.
//!
//! Guarantees: the index follows the best chain of the node through any reorganisation; its cost is bounded
//! (`index.scan_threads` threads of low priority, and the bounds of the [`Builder`] for blocks in flight); detection
//! never waits for it. The tweaks are compared with those of a BlindBit Oracle ([`oracle`]), never taken from it.

mod builder;
mod missing;
pub mod oracle;
mod pool;
mod problems;
mod repair;
mod scan;
mod status;
mod tweaks;

use std::sync::Arc;

use sdk_relay_store::TweakIndex;
use tokio::sync::watch;

pub use builder::Builder;
pub use pool::{Pool, lower_priority};
pub use problems::NEARLY;
pub use scan::{Paid, Scanned, scan, scan_within};
pub use status::{IndexFigures, IndexState, IndexStatus};

/// Handle of the index for requests and connections.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its data.
    pub store: Arc<TweakIndex>,
    /// Its progress.
    pub status: watch::Receiver<IndexStatus>,
    /// Cost of the build since the start.
    pub figures: watch::Receiver<IndexFigures>,
    /// The threads that build and scan it.
    pub pool: Arc<Pool>,
}
