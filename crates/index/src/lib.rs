//! The tweak index while the relay runs: built in the background, read by whoever wants history.
//!
//! Guarantees: the index follows the node's best chain, whatever it does; what it costs is bounded
//! (`index.scan_threads` threads of low priority, and the bounds of the [`Builder`] for what is in flight); detection
//! never waits for it. A BlindBit Oracle is a second opinion on the tweaks ([`oracle`]), never their source.

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
