//! The tweak index against a real node: what is in it, through reorganisations and kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "index/chain.rs"]
mod chain;
#[path = "index/kills.rs"]
mod kills;
#[path = "index/kinds.rs"]
mod kinds;
#[path = "index/mint.rs"]
mod mint;
#[path = "index/scene.rs"]
mod scene;
#[path = "index/slow.rs"]
mod slow;
