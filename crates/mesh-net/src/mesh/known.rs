//! What this relay knows of others beside the state machine: their handshakes, and what their syncs told.

use std::time::Duration;

use sdk_relay_protocol::OtherRelay;
use sdk_relay_protocol::http::{Link, RelayHealth};

use crate::sync::Facts;

/// What a handshake told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRelay {
    /// API version that it speaks.
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
    /// The WebSocket URL that it advertises, where this relay would dial that.
    pub url: Option<String>,
    /// API version.
    pub version: String,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// From its silence and from what it says.
    pub health: RelayHealth,
    /// Unix second of the last sign of life.
    pub last_seen: u64,
    /// Seconds since its start, by its own clock, where that can be true.
    pub uptime: Option<u64>,
    /// Its program's version.
    pub software_version: String,
    /// How it is known.
    pub link: Link,
    /// Round trip over the link.
    pub latency: Option<Duration>,
    /// What its syncs told.
    pub facts: Facts,
}

/// A look at the mesh. A list of a thousand relays costs more than the answer to `GET /metrics` that counts them.
#[derive(Debug, Default)]
pub struct Around {
    /// Other relays that are known; those that have left are not counted.
    pub known: u64,
    /// Mean round trip to the linked relays in milliseconds.
    pub latency_ms: Option<f64>,
    /// Other healthy relays, the nearest first.
    pub others: Vec<OtherRelay>,
}
