//! The configuration of the state machine.

use std::time::Duration;

use sdk_relay_protocol::mesh::{RelayId, RelayStatus};

/// How to take part in the mesh.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sync.interval`: a round. Each link has one exchange per round.
    pub interval: Duration,
    /// `mesh.max_links`: most persistent links.
    pub max_links: usize,
    /// `mesh.peers`: addresses to dial first. Their names are learned in the handshake.
    pub seeds: Vec<String>,
    /// How long a critical relay, or one that has left, is remembered.
    pub forget_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            max_links: 8,
            seeds: Vec::new(),
            forget_after: Duration::from_secs(3600),
        }
    }
}

/// What this relay announces about itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its name.
    pub relay_id: RelayId,
    /// Where others can reach it.
    pub address: String,
    /// Must grow with each start; Unix seconds do. If it does not (a clock set back), the relay receives its own
    /// earlier entry and exceeds it.
    pub incarnation: u64,
    /// Its condition.
    pub status: RelayStatus,
    /// Version of the program.
    pub software_version: String,
    /// Its capabilities.
    pub capabilities: Vec<String>,
    /// When it started, Unix seconds.
    pub started: u64,
}
