//! What a relay's part of the mesh is told at its start.

use std::time::Duration;

use sdk_relay_protocol::mesh::{RelayId, RelayStatus};

/// How to take part.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sync.interval`: a round. Each link has one exchange per round from either end.
    pub interval: Duration,
    /// `mesh.max_links`: most links that are kept.
    pub max_links: usize,
    /// `mesh.peers`: addresses to dial first. What answers there says its name in the handshake.
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

/// What this relay says of itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its name.
    pub relay_id: RelayId,
    /// Where others can reach it.
    pub address: String,
    /// Must grow with each start; Unix seconds do. Should it not (a clock set back), the relay hears of its own earlier life and passes it.
    pub incarnation: u64,
    /// How it feels.
    pub status: RelayStatus,
    /// The program's version.
    pub software_version: String,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// When it started, Unix seconds.
    pub started: u64,
}
