//! The comparison with a BlindBit Oracle: one relay is the Oracle of another on the same node.

mod away;
mod liars;
mod proxy;
mod same;
mod scene;
