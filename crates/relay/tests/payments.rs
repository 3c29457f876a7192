//! Payments as an app hears of them: each kind of input and address, in the mempool and in a block, every field of them, and nobody else.
//!
//! Nothing is waited for by time. That something is *not* told is proven by what comes after it: a connection hears of things in the order in
//! which they happened, so that an ear that has heard the later one will not hear the earlier one any more.

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
