//! What the edges of a relay (WebSocket, HTTP, BlindBit) may ask of it, and what decides for all of them alike.
//!
//! In come requests that an edge has parsed; out go values that it encodes. Here are the reports and the readiness of the relay ([`reports`]),
//! its settings ([`Settings`]) and the request of a restart ([`Restart`]), the development tools ([`dev`]), and the checks that every edge makes:
//! tokens ([`may_read`], [`carries`]), the host of a request ([`RequestHost`]), turns for computing with keys ([`KeyWork`]). [`preflight`] checks
//! a configuration against this machine. No edge knows another one, and nothing here knows an edge.

mod auth;
mod context;
pub mod dev;
mod failure;
mod key_work;
mod mesh_host;
mod node_figures;
pub mod preflight;
pub mod reports;
mod request_host;
mod restart;
mod settings;

pub use auth::{carries, may_read, reading_tokens};
pub use context::Context;
pub use failure::Failure;
pub use key_work::KeyWork;
pub use node_figures::node_figures;
pub use request_host::{CheckedHost, HostError, RequestHost};
pub use restart::{DRAIN_WITHIN, Restart};
pub use settings::{ChangeError, Changed, ReloadError, Settings};

/// What the relay offers, as the handshakes of clients and of other relays say it.
pub const CAPABILITIES: [&str; 6] = ["sync", "notifications", "health", "metrics", "tweaks", "watch"];
