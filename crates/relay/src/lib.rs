//! `sdk_relay`: a relay between Bitcoin and silent-payment (BIP352) apps.
//!
//! The way of a payment: the follower (`sdk-relay-chain`) tells chain events; [`detect`] finds payments, commits them to the log and hands
//! them to the [`hub`]; each connection of [`ws`] reads them there at its own pace. [`relay`] wires it, [`server`] holds the two ports,
//! [`http`] answers over HTTP, [`ops`] is what an operator looks at.

pub mod cli;
pub mod client_address;
mod clock;
pub mod config;
pub mod context;
pub mod datadir;
pub mod detect;
pub mod dev;
pub mod ending;
mod first_block;
pub mod http;
pub mod hub;
pub mod index;
pub mod input;
pub mod mesh;
pub mod open_files;
pub mod ops;
pub mod oracle;
mod private_file;
pub mod relay;
pub mod secret;
pub mod server;
pub mod settings;
mod stack;
pub mod supervisor;
pub mod sync;
pub mod tls;
pub mod wallet;
pub mod ws;

/// The program's own version; `API_VERSION` of the protocol is that of its messages.
pub const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");
