//! The mesh on a simulated network: a thousand relays, lost messages, partitions, hostile relays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod accusations;
mod accused;
mod bounds;
mod claims;
mod entries;
mod faults;
mod hostile;
mod introductions;
mod mesh;
mod names;
mod one_in_ten;
mod peers;
mod sizes;
