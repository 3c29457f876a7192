//! A BlindBit Oracle as the source of the index's tweaks: one relay is the Oracle of another on the same node.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "oracle/away.rs"]
mod away;
#[path = "oracle/liars.rs"]
mod liars;
#[path = "oracle/proxy.rs"]
mod proxy;
#[path = "oracle/same.rs"]
mod same;
#[path = "oracle/scene.rs"]
mod scene;
