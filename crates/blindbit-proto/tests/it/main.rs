//! The generated code is that of the .proto, and its bytes have the field numbers of BlindBit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure in here is a failed test"
)]

mod bytes;
mod generated;
