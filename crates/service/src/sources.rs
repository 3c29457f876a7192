//! Inputs of the status of the relay.

use std::sync::Arc;
use std::time::Instant;

use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_index::Index;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_mesh_net::{Mesh, MeshMetrics};
use sdk_relay_telemetry::{LogTap, Process, Rate, Traffic, Vitals};
use sdk_relay_transport::Tls;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::restart::Restart;
use crate::settings::Settings;

/// A part of the relay that the status knows only for its problems.
pub trait Problems: Send + Sync {
    /// What an operator has to know: one sentence each, with what to do.
    fn problems(&self) -> Vec<String>;
}

/// Sources of the reports.
pub struct Sources {
    /// The configuration, as it is now.
    pub settings: Arc<Settings>,
    /// Restart requests, and why the last one was abandoned.
    pub restart: Arc<Restart>,
    /// The node, or the development chain.
    pub chain: Arc<dyn ChainSource>,
    /// Status of the follower.
    pub follow: watch::Receiver<FollowStatus>,
    /// Counters of connections and messages.
    pub traffic: Arc<Traffic>,
    /// Counters of syncs.
    pub syncs: Arc<MeshMetrics>,
    /// State of detection.
    pub vitals: Arc<Vitals>,
    /// The errors of the log.
    pub log: LogTap,
    /// Memory, processor, disk.
    pub process: Process,
    /// The tweak index; `None` if `index.enabled` is false.
    pub index: Option<Index>,
    /// The BlindBit Oracle; `None` if `blindbit.url` is empty.
    pub oracle: Option<Arc<Oracle>>,
    /// Messages per second.
    pub rate: Arc<Rate>,
    /// The mesh of authenticated relays.
    pub mesh: Arc<Mesh>,
    /// TLS of both ports; `None` for plain text.
    pub tls: Option<Tls>,
    /// Other parts with problems that concern the operator only.
    pub others: Vec<Arc<dyn Problems>>,
    /// When the relay started.
    pub started: Instant,
    /// Failed part of the relay.
    pub failure: watch::Receiver<Option<Failure>>,
}
