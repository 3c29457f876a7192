//! Requests over real sockets, to servers of the tests on a loopback address. Public addresses are those of the tests'
//! dialer, which leads them to these servers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure in here is a failed test")]

mod hostile;
mod limits;
mod servers;
mod stage;
mod steps;
mod urls;
