//! What the status of the relay is made from.

use std::sync::Arc;
use std::time::Instant;

use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_index::Index;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_mesh_net::Mesh;
use sdk_relay_telemetry::{Counters, LogTap, Process, Rate, Vitals};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::restart::Restart;
use crate::settings::Settings;

/// What is looked at for a report.
pub struct Sources {
    /// The configuration, as it is now.
    pub settings: Arc<Settings>,
    /// Whether the last restart was given up.
    pub restart: Arc<Restart>,
    /// The node, or the development chain.
    pub chain: Arc<dyn ChainSource>,
    /// How far the chain is followed.
    pub follow: watch::Receiver<FollowStatus>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What detection says of itself.
    pub vitals: Arc<Vitals>,
    /// The errors of the log.
    pub log: LogTap,
    /// Memory, processor, disk.
    pub process: Process,
    /// The tweak index; `None` where `index.enabled` is off.
    pub index: Option<Index>,
    /// The BlindBit Oracle; `None` where `blindbit.url` is empty.
    pub oracle: Option<Arc<Oracle>>,
    /// Messages per second.
    pub rate: Arc<Rate>,
    /// The mesh of relays that have proven who they are.
    pub mesh: Arc<Mesh>,
    /// When the relay started.
    pub started: Instant,
    /// Which part of the relay has failed.
    pub failure: watch::Receiver<Option<Failure>>,
}
