//! What the handlers see of the relay: each extracts the handles that it needs.

use std::sync::Arc;

use axum::extract::FromRef;
use prometheus_client::registry::Registry;
use sdk_relay_chain::ChainSource;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_mesh_net::{Mesh, Syncs};
use sdk_relay_service::dev::DevTools;
use sdk_relay_service::{Identity, Restart, Settings, Status};
use sdk_relay_telemetry::{Counters, LogTap, NodeFigures, Vitals};
use sdk_relay_transport::AnswerBudget;

/// The handles that the API needs.
pub struct Handles {
    /// The reports, and whether the relay is ready.
    pub status: Status,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Asks for a restart.
    pub restart: Arc<Restart>,
    /// The relay's name, and the address of its wallet.
    pub identity: Arc<Identity>,
    /// The node, or the development chain.
    pub chain: Arc<dyn ChainSource>,
    /// Fan-out of events.
    pub hub: Arc<Hub>,
    /// The mesh of relays that have proven who they are.
    pub mesh: Arc<Mesh>,
    /// Syncs with other relays and clients.
    pub syncs: Arc<Syncs>,
    /// `/dev/*`, where it is open.
    pub dev: Option<Arc<DevTools>>,
    /// The newest lines of the log.
    pub log: LogTap,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What `GET /metrics` shows beside the counters.
    pub figures: Arc<Figures>,
    /// Memory for answers that are not read.
    pub answers: Arc<AnswerBudget>,
}

/// What `GET /metrics` shows.
pub struct Figures {
    /// What is counted, for the text form.
    pub registry: Registry,
    /// What only an administrator may read of it.
    pub private_registry: Registry,
    /// What detection says of itself.
    pub vitals: Arc<Vitals>,
    /// What the node says of itself.
    pub node: Arc<NodeFigures>,
    /// The tweak index; `None` where `index.enabled` is off.
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
    hub: Arc<Hub>,
    mesh: Arc<Mesh>,
    syncs: Arc<Syncs>,
    dev: Option<Arc<DevTools>>,
    log: LogTap,
    counters: Arc<Counters>,
    figures: Arc<Figures>,
}
