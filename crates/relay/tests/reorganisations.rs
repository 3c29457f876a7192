//! Blocks that leave the best chain, and payments that others take the place of: what was told is taken back, what holds is told again, each
//! once, and in an order that a client can follow step by step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod story;
mod support;

#[path = "reorganisations/deep.rs"]
mod deep;
#[path = "reorganisations/replaced.rs"]
mod replaced;
#[path = "reorganisations/scene.rs"]
mod scene;
#[path = "reorganisations/shallow.rs"]
mod shallow;
