//! The mesh on a simulated network: a thousand relays, lost messages, partitions, hostile relays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod accused;
mod bounds;
mod claims;
mod faults;
mod hostile;
mod mesh;
mod one_in_ten;
mod sizes;
