//! Handles of the relay: each handler extracts those that it needs.

use std::sync::Arc;

use axum::extract::FromRef;
use prometheus_client::registry::Registry;
use sdk_relay_chain::ChainSource;
use sdk_relay_detect::{Detection, DetectionMetrics};
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_mesh_net::{Mesh, Syncs};
use sdk_relay_service::dev::DevTools;
use sdk_relay_service::{FeeSource, FirstBlocks, Identity, Restart, Settings, Status};
use sdk_relay_telemetry::{LogTap, NodeFigures, Timings, Traffic, Vitals};
use sdk_relay_transport::AnswerBudget;

use crate::requests::HttpMetrics;

/// The handles that the API needs.
pub struct Handles {
    /// The reports, and whether the relay is ready.
    pub status: Status,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Requests a restart.
    pub restart: Arc<Restart>,
    /// The relay's name, and the address of its wallet.
    pub identity: Arc<Identity>,
    /// The node, or the development chain.
    pub chain: Arc<dyn ChainSource>,
    /// Fee rates of the node.
    pub fees: Arc<FeeSource>,
    /// Finds the blocks at which scans since a time begin.
    pub first_blocks: Arc<FirstBlocks>,
    /// Detection, which knows what was replaced in the mempool.
    pub detection: Detection,
    /// Fan-out of events.
    pub hub: Arc<Hub>,
    /// The mesh of authenticated relays.
    pub mesh: Arc<Mesh>,
    /// Syncs with other relays and clients.
    pub syncs: Arc<Syncs>,
    /// `/dev/*`, if enabled.
    pub dev: Option<Arc<DevTools>>,
    /// The newest lines of the log.
    pub log: LogTap,
    /// Counters of connections and messages.
    pub traffic: Arc<Traffic>,
    /// Counters of requests.
    pub requests: HttpMetrics,
    /// Further figures of `GET /metrics`.
    pub figures: Arc<Figures>,
    /// Budget of unread answers.
    pub answers: Arc<AnswerBudget>,
}

/// Sources of `GET /metrics`.
pub struct Figures {
    /// Counters, for the text format.
    pub registry: Registry,
    /// Counters that only an administrator may read.
    pub private_registry: Registry,
    /// Counters of detection.
    pub detection: Arc<DetectionMetrics>,
    /// State of detection.
    pub vitals: Arc<Vitals>,
    /// Figures of the node.
    pub node: Arc<NodeFigures>,
    /// Timings of events.
    pub timings: Arc<Timings>,
    /// The tweak index; `None` if `index.enabled` is false.
    pub index: Option<Index>,
}

/// The state of the router.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Handles>);

macro_rules! extracted {
    ($($field:ident: $handle:ty,)*) => {
        $(impl FromRef<Shared> for $handle {
            fn from_ref(Shared(handles): &Shared) -> Self {
                Clone::clone(&handles.$field)
            }
        })*
    };
}

extracted! {
    status: Status,
    settings: Arc<Settings>,
    restart: Arc<Restart>,
    identity: Arc<Identity>,
    chain: Arc<dyn ChainSource>,
    fees: Arc<FeeSource>,
    first_blocks: Arc<FirstBlocks>,
    detection: Detection,
    hub: Arc<Hub>,
    mesh: Arc<Mesh>,
    syncs: Arc<Syncs>,
    dev: Option<Arc<DevTools>>,
    log: LogTap,
    traffic: Arc<Traffic>,
    requests: HttpMetrics,
    figures: Arc<Figures>,
}
