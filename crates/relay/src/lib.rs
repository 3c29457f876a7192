//! `sdk_relay`: a relay between Bitcoin and silent-payment (BIP352) apps.
//!
//! The way of a payment: the follower (`sdk-relay-chain`) emits chain events; detection (`sdk-relay-detect`) finds payments, commits them to the
//! log and hands them to the hub (`sdk-relay-events`); each connection of [`ws`] reads them there at its own pace. [`relay`] wires it,
//! `sdk-relay-transport` serves the two ports, `sdk-relay-mesh-net` links the relay with others, [`http`] answers over HTTP, [`reports`] makes the
//! health and sync reports from the figures of `sdk-relay-telemetry`.

mod auth;
pub mod cli;
pub mod context;
pub mod dev;
mod first_block;
pub mod http;
mod key_work;
mod mesh_host;
mod node_figures;
pub mod ports;
pub mod preflight;
mod progress;
pub mod relay;
pub mod reports;
pub mod restart;
pub mod settings;
pub mod supervisor;
pub mod wallet;
pub mod ws;
