//! Watches with `from_height`: the whole history, in order, and its joint with what happens meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

#[path = "history/damaged.rs"]
mod damaged;
#[path = "history/hearer.rs"]
mod hearer;
#[path = "history/joint.rs"]
mod joint;
#[path = "history/order.rs"]
mod order;
#[path = "history/pruned.rs"]
mod pruned;
#[allow(dead_code, reason = "the tests of payments use all of it")]
#[path = "payments/stage.rs"]
mod stage;
#[path = "history/start.rs"]
mod start;
#[path = "history/tweaks.rs"]
mod tweaks;
