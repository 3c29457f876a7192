//! The HTTP API as its contract has it, from outside the process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

#[path = "../wire/mod.rs"]
mod wire;

mod away;
mod documents;
mod errors;
mod half_close;
mod metrics;
mod secrets;
mod shapes;
