//! What the edges of a relay (WebSocket, HTTP, BlindBit) may ask of it, and what decides for all of them alike.
//!
//! In come requests that an edge has parsed; out go values that it encodes. Each handle is narrow, and an edge takes
//! those that it needs: [`Status`] makes the reports and knows whether the relay is ready, [`Settings`] are the
//! configuration and its changes, [`Restart`] asks for a restart, [`DevTools`](dev::DevTools) mine and pay, [`KeyWork`]
//! gives turns for computing with keys. The checks that every edge makes are here too: tokens ([`may_read`],
//! [`carries`]) and the host of a request ([`RequestHost`]). [`preflight`] checks a configuration against this machine.
//! No edge knows another one, and nothing here knows an edge.

mod auth;
pub mod dev;
mod failure;
mod key_work;
mod mesh_host;
mod node_figures;
pub mod preflight;
mod reports;
mod request_host;
mod restart;
mod settings;
mod sources;
mod status;

pub use auth::{carries, may_read, reading_tokens};
pub use failure::Failure;
pub use key_work::KeyWork;
pub use mesh_host::MeshHost;
pub use node_figures::node_figures;
pub use request_host::{CheckedHost, HostError, RequestHost};
pub use restart::{DRAIN_WITHIN, Restart};
pub use settings::{ChangeError, Changed, ReloadError, Settings, shown};
pub use sources::Sources;
pub use status::{Condition, Status};

/// What a relay is called.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name, unique in its mesh.
    pub relay_id: String,
    /// The address of its own silent-payment wallet.
    pub address: String,
}

/// What the relay offers, as the handshakes of clients and of other relays say it.
pub const CAPABILITIES: [&str; 6] = ["sync", "notifications", "health", "metrics", "tweaks", "watch"];
