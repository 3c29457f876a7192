//! A BlindBit Oracle as the source of the index's tweaks: one relay is the Oracle of another on the same node.

mod away;
mod liars;
mod proxy;
mod same;
mod scene;
