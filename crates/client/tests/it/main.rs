//! The SDK against a server that does what relays do under stress.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod failover;
mod fake;
mod reconnect;
mod requests;
