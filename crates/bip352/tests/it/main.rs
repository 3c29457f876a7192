//! Scanning against the official vectors, libsecp256k1 and properties of BIP 352.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod differential;
mod official_vectors;
mod properties;
