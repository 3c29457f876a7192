//! The HTTP API as its contract has it, from outside the process.

#[path = "../wire/mod.rs"]
mod wire;

mod away;
mod errors;
mod metrics;
mod secrets;
mod shapes;
