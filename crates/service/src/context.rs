//! What every connection and every request looks at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_config::Config;
use sdk_relay_detect::Detection;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_mesh_net::{Mesh, Syncs};
use sdk_relay_telemetry::{Counters, LogTap, NodeFigures, Process, Rate, Vitals};
use sdk_relay_transport::{AnswerBudget, InputBudget};
use tokio::sync::watch;

use crate::dev::DevTools;
use crate::failure::Failure;
use crate::key_work::KeyWork;
use crate::restart::Restart;
use crate::settings::Settings;

/// The relay, as its connections and requests see it. Nothing in it can be changed but by its own parts.
pub struct Context {
    /// The configuration, as it is now.
    pub settings: Settings,
    /// Asks for a restart.
    pub restart: Restart,
    /// This relay's name.
    pub relay_id: String,
    /// Where the WebSocket API listens.
    pub ws_addr: SocketAddr,
    /// Address of the relay's own silent-payment wallet.
    pub address: String,
    /// Fan-out of events.
    pub hub: Arc<Hub>,
    /// Where watches go.
    pub detection: Detection,
    /// The node, or the development chain.
    pub chain: Arc<dyn ChainSource>,
    /// How far the chain is followed.
    pub follow: watch::Receiver<FollowStatus>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// The same, for the text form of `/metrics`.
    pub registry: Registry,
    /// What only an administrator may read of it.
    pub private_registry: Registry,
    /// Memory for input that is not complete.
    pub input: Arc<InputBudget>,
    /// Memory for answers that are not read.
    pub answers: AnswerBudget,
    /// Turns for computing with the keys of watches.
    pub key_work: KeyWork,
    /// What detection says of itself.
    pub vitals: Arc<Vitals>,
    /// The newest lines of the log, and its errors.
    pub log: LogTap,
    /// Memory, processor, disk.
    pub process: Process,
    /// What the node says of itself.
    pub node: NodeFigures,
    /// The tweak index; `None` where `index.enabled` is off.
    pub index: Option<Index>,
    /// The BlindBit Oracle; `None` where `blindbit.url` is empty.
    pub oracle: Option<Arc<Oracle>>,
    /// Messages per second.
    pub rate: Rate,
    /// The mesh of relays that have proven who they are.
    pub mesh: Arc<Mesh>,
    /// Syncs with other relays and clients.
    pub syncs: Arc<Syncs>,
    /// `/dev/*`, where it is open.
    pub dev: Option<DevTools>,
    /// When the relay started.
    pub started: Instant,
    /// Which part of the relay has failed.
    pub failure: watch::Receiver<Option<Failure>>,
}

impl Context {
    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// Links to other relays now.
    pub fn mesh_connections(&self) -> u64 {
        self.mesh.linked().len() as u64
    }

    /// Relays known, this one included.
    pub fn known_relays(&self) -> u64 {
        self.mesh.around().known + 1
    }

    /// Seconds since the start.
    pub fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// WebSocket connections now.
    pub fn connections(&self) -> u64 {
        u64::try_from(self.counters.connections.get()).unwrap_or(0)
    }
}
