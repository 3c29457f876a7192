//! The comparison with a BlindBit Oracle: one relay is the Oracle of another on the same node.

mod away;
mod grpc;
mod liars;
mod proxy;
mod same;
pub(crate) mod scene;
