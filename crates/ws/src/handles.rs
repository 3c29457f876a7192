//! The parts of the relay that connections use.

use std::sync::Arc;

use sdk_relay_detect::Detection;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_mesh_net::{Host, Mesh, Syncs};
use sdk_relay_service::{FirstBlocks, Identity, KeyWork, Settings};
use sdk_relay_telemetry::{Timings, Traffic};
use sdk_relay_transport::{InputBudget, SpawnConnection};

use crate::timeouts::Timeouts;

/// The handles that a connection needs.
pub struct Handles {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The relay's name, and the address of its wallet.
    pub identity: Arc<Identity>,
    /// Fan-out of events.
    pub hub: Arc<Hub>,
    /// Detection, which runs the watches.
    pub detection: Detection,
    /// The tweak index; `None` where `index.enabled` is off.
    pub index: Option<Index>,
    /// The mesh of authenticated relays.
    pub mesh: Arc<Mesh>,
    /// Syncs with other relays and clients.
    pub syncs: Arc<Syncs>,
    /// The reports that syncs carry.
    pub host: Arc<dyn Host>,
    /// Finds the blocks at which histories since a time begin.
    pub first_blocks: Arc<FirstBlocks>,
    /// Permits for computations with the keys of watches.
    pub key_work: Arc<KeyWork>,
    /// Owner of the tasks of connections.
    pub spawner: Arc<dyn SpawnConnection>,
    /// Memory budget for incomplete input.
    pub input: Arc<InputBudget>,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// Timings of events.
    pub timings: Arc<Timings>,
    /// Metrics of the traffic.
    pub traffic: Arc<Traffic>,
}
