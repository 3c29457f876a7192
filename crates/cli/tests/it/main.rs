//! The command line and the configuration, as the documentation shows them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure in here is a failed test"
)]

mod commands;
mod page;
mod settings;
