//! Real components for tests: a [`Bitcoind`] on regtest, or a [`PooledNode`] that tests use in turn, relay processes
//! ([`RelayProcess`]), and a [`Payer`] of silent payments.
//!
//! For tests and the bench only: an error here is a failed test, so most functions panic with the reason. Every started
//! process ends when its handle is dropped or the program ends ([`GuardedChild`]), and every wait is for a condition
//! with a deadline ([`eventually`]), never for a fixed time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure in here is a failed test"
)]

mod bare;
mod chain;
mod child;
mod curve;
mod deadline;
mod http;
mod left_out;
mod node;
mod payee;
mod payer;
mod pool;
mod ports;
mod probe;
mod relay;
mod rpc;
mod socks;

pub use bare::{Bare, UPGRADE, close_code, frame};
pub use child::GuardedChild;
pub use deadline::eventually;
pub use http::{HttpReply, http_get, http_post, http_send};
pub use left_out::{is_left_out, needed_file};
pub use node::{Bitcoind, Options, bitcoind_exe};
pub use payee::Payee;
pub use payer::{Coin, InputKind, Payer, Recipient};
pub use pool::PooledNode;
pub use probe::Probe;
pub use relay::{RelayEnded, RelayOptions, RelayProcess, relay_exe};
pub use rpc::{Rpc, RpcError};
pub use socks::{SocksMode, SocksProxy};
