//! What the mesh can be asked.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::RelayEntry;

/// A relay as this one sees it.
#[derive(Clone, Debug)]
pub struct RelayView {
    /// What it says of itself.
    pub entry: Arc<RelayEntry>,
    /// From its silence and from what it says.
    pub health: RelayHealth,
    /// When this relay last heard from it over a link of its own, by the clock of `now`; `None`: never.
    pub heard: Option<Duration>,
    /// When this relay last learned something of it: from itself, or that it is alive from others.
    pub learned: Duration,
    /// The link to it.
    pub link: Option<LinkId>,
    /// Round trip over that link, smoothed; the last known where the link is gone.
    pub latency: Option<Duration>,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// Of these, repeated because nothing came back in time.
    pub repeats: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Entries received that were new.
    pub entries_taken: u64,
    /// Entries and accusations refused: not asked for, out of bounds, badly signed, of another key, or no room.
    pub refused: u64,
    /// Dials asked for.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Accusations that this relay made.
    pub accused: u64,
    /// Accusations of itself that this relay refuted.
    pub refuted: u64,
    /// Relays forgotten.
    pub forgotten: u64,
    /// Relays that made way: in a full table, or because their name was another's.
    pub evicted: u64,
}
