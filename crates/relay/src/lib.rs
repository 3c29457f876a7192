//! `sdk_relay`: a relay between Bitcoin and silent-payment (BIP352) apps.
//!
//! The way of a payment: the follower (`sdk-relay-chain`) emits chain events; detection (`sdk-relay-detect`) finds payments, commits them to the
//! log and hands them to the hub (`sdk-relay-events`); each connection of [`ws`] reads them there at its own pace. [`relay`] wires it,
//! `sdk-relay-transport` serves the two ports, `sdk-relay-mesh-net` links the relay with others, [`http`] answers over HTTP, `sdk-relay-service` is
//! what both ask of the relay.

pub mod cli;
mod first_block;
pub mod http;
pub mod ports;
mod progress;
pub mod relay;
pub mod supervisor;
pub mod wiring;
