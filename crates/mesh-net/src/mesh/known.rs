//! What this relay knows about others beside the state machine: from their handshakes and their syncs.

use std::time::Duration;

use sdk_relay_protocol::OtherRelay;
use sdk_relay_protocol::http::{Link, RelayHealth};

use crate::sync::Facts;

/// What a relay announced in its handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRelay {
    /// Its API version.
    pub version: String,
}

/// A relay to which there is, or was, a link.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) version: String,
    pub(super) last_seen: u64,
    pub(super) facts: Facts,
}

/// A relay of the mesh, as this one sees it.
#[derive(Clone, Debug)]
pub struct MeshRelay {
    /// Its name.
    pub relay_id: String,
    /// Its key in hex.
    pub public_key: String,
    /// The WebSocket URL that it advertises, if this relay would dial it.
    pub url: Option<String>,
    /// API version.
    pub version: String,
    /// Its capabilities.
    pub capabilities: Vec<String>,
    /// From its silence and from its own status.
    pub health: RelayHealth,
    /// Unix second at which it was last known to be alive.
    pub last_seen: u64,
    /// Seconds since its start by its own clock, if plausible.
    pub uptime: Option<u64>,
    /// Its program's version.
    pub software_version: String,
    /// How it is known.
    pub link: Link,
    /// Round trip over the link.
    pub latency: Option<Duration>,
    /// What its syncs reported.
    pub facts: Facts,
}

/// A snapshot of the mesh, so that `GET /metrics` does not list a thousand relays.
#[derive(Debug, Default)]
pub struct Around {
    /// Other relays that are known; those that have left are not counted.
    pub known: u64,
    /// Mean round trip to the linked relays in milliseconds.
    pub latency_ms: Option<f64>,
    /// Other healthy relays, the nearest first.
    pub others: Vec<OtherRelay>,
}
