//! Access to the Bitcoin chain and mempool.
//!
//! A [`ChainSource`] is a node, over RPC and REST ([`node`]), or the development chain (crate `devchain`). The
//! [`follower`] turns its answers and its signals into one ordered stream of [`ChainEvent`]s.

pub mod event;
mod first_block;
pub mod follower;
mod joined;
pub mod node;
pub mod rpc;
mod signals;
pub mod source;

pub use event::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason, MempoolTx, Observed};
pub use first_block::FirstBlockSearch;
pub use joined::joined;
pub use signals::Signals;
pub use source::{
    AcceptedPackage, BroadcastError, ChainSource, ConfirmedTx, EventSource, FeeRates, MempoolSnapshot, NodeInfo,
    OUTPUTS_TRIED, PackageError, Signal, Signalling, SourceError, SourceStatus,
};
