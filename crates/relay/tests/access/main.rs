//! Who may change things: web pages, proxies, tunnels and strangers, each met from outside the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure in here is a failed test"
)]

mod addresses;
mod credentials;
mod hosts;
mod nginx;
mod pages;
mod proxies;
mod talk;
