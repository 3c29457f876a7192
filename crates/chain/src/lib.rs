//! The way to Bitcoin.
//!
//! A [`ChainSource`] answers questions: a node over RPC and REST ([`node`]), or the development chain (crate `devchain`). The [`follower`]
//! turns its answers and its signals into one ordered stream of [`ChainEvent`]s.

pub mod event;
pub mod follower;
pub mod node;
pub mod rpc;
pub mod source;

pub use event::{BlockRef, BlockWithPrevouts, ChainEvent, LeaveReason, MempoolTx};
pub use source::{
    BroadcastError, ChainSource, MempoolSnapshot, NodeInfo, Signal, Signalling, SourceError, SourceStatus,
};
