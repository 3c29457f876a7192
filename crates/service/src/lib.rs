//! Services for the edges of a relay (WebSocket, HTTP, BlindBit), and their common checks.
//!
//! An edge passes parsed requests and encodes the returned values. Each handle is narrow, and an edge takes those that
//! it needs: [`Status`] creates the reports and gives the readiness, [`Settings`] are the configuration and its
//! changes, [`Restart`] requests a restart, [`DevTools`](dev::DevTools) mine and pay, [`KeyWork`] limits computations
//! with keys, [`FeeSource`] asks the node for fee rates once for all clients, [`FirstBlocks`] for the blocks of times.
//! The common checks are here too: tokens ([`may_read`], [`has_bearer_token`]) and the host of a request
//! ([`RequestHost`]). [`preflight`] checks a configuration against this machine. Edges do not depend on each other, and
//! this crate does not depend on edges.

mod auth;
pub mod data_files;
pub mod dev;
mod failure;
mod fees;
mod first_blocks;
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

pub use auth::{bearer_token, has_bearer_token, may_read, reading_tokens};
pub use failure::Failure;
pub use fees::{FeeSource, TARGETS};
pub use first_blocks::{FirstBlockError, FirstBlocks};
pub use key_work::KeyWork;
pub use mesh_host::MeshHost;
pub use node_figures::node_figures;
pub use request_host::{CheckedHost, HostError, RequestHost};
pub use restart::{DRAIN_WITHIN, Restart};
pub use settings::{ChangeError, Changed, ReloadError, Settings, shown};
pub use sources::{Problems, Sources};
pub use status::{Condition, Status};

/// Identity of a relay.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name, unique in its mesh.
    pub relay_id: String,
    /// The address of its own silent-payment wallet, if it has one.
    pub address: Option<String>,
}

/// Capabilities of the relay in handshakes with clients and other relays.
pub const CAPABILITIES: [&str; 6] = ["sync", "notifications", "health", "metrics", "tweaks", "watch"];
