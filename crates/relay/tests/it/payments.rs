//! Payments as an app receives them: each kind of input and address, in the mempool and in a block, every field, and no
//! other client.
//!
//! No test waits for a fixed time. A later event proves that something is *not* sent: a connection receives events in
//! order, so a client that has received a later event does not receive an earlier one.

mod dev;
mod engines;
mod kinds;
mod order;
mod parts;
#[cfg(target_os = "linux")]
pub(crate) mod remains;
mod spends;
mod tweaks;
mod wallet;
mod watches;
