//! The follower against a node in memory, on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cases;
mod model;
mod random;
mod replica;
mod run;
mod world;
