//! What the mesh reports about relays, and its counters.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::RelayEntry;

/// A relay as this one sees it.
#[derive(Clone, Debug)]
pub struct RelayView {
    /// Its entry.
    pub entry: Arc<RelayEntry>,
    /// From its silence and from its own status.
    pub health: RelayHealth,
    /// When something was last received over a link to it, by the clock of `now`; `None`: never.
    pub last_received: Option<Duration>,
    /// When its entry last changed, or it was last known to be alive, first hand or through others.
    pub last_update: Duration,
    /// The link to it.
    pub link: Option<LinkId>,
    /// Smoothed round trip over that link; the last known one if the link has ended.
    pub latency: Option<Duration>,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, repetitions included.
    pub requests: u64,
    /// Of these, repetitions because no response arrived in time.
    pub repeats: u64,
    /// Entries sent.
    pub entries_sent: u64,
    /// Received entries that were new.
    pub entries_taken: u64,
    /// Entries and accusations refused: not requested, out of bounds, wrongly signed, of another key, or over a quota.
    pub refused: u64,
    /// Dials requested.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Accusations that this relay made.
    pub accused: u64,
    /// Accusations of itself that this relay refuted.
    pub refuted: u64,
    /// Relays removed after having been down.
    pub forgotten: u64,
    /// Relays evicted: from a full table, or because their name belongs to another key.
    pub evicted: u64,
}
