//! `sdk_relay`: a relay between Bitcoin and silent-payment (BIP352) apps.
//!
//! The path of a payment: the follower (`sdk-relay-chain`) emits chain events; detection (`sdk-relay-detect`) finds
//! payments, commits them to the log and hands them to the hub (`sdk-relay-events`); each connection of `sdk-relay-ws`
//! reads them from there. [`relay`] combines the parts, with a function of [`wiring`] for each crate; [`run`] is
//! the process around it. The command line is `sdk-relay-cli`.

pub mod relay;
pub mod run;
mod start;
mod timeouts;
mod wiring;

pub use timeouts::Timeouts;
