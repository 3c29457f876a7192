//! Payments as an app receives them: each kind of input and address, in the mempool and in a block, every field, and no other client.
//!
//! No test waits for a fixed time. That something is *not* sent is proven by what follows it: a connection receives events in order, so a client
//! that has received a later event does not receive an earlier one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

#[path = "payments/dev.rs"]
mod dev;
#[path = "payments/engines.rs"]
mod engines;
#[path = "payments/kinds.rs"]
mod kinds;
#[path = "payments/order.rs"]
mod order;
#[path = "payments/parts.rs"]
mod parts;
#[cfg(target_os = "linux")]
#[path = "payments/remains.rs"]
mod remains;
#[path = "payments/stage.rs"]
mod stage;
#[path = "payments/tweaks.rs"]
mod tweaks;
#[path = "payments/wallet.rs"]
mod wallet;
#[path = "payments/watches.rs"]
mod watches;
