//! The edges: each gets the handles that it needs.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use sdk_relay_chain::ChainSource;
use sdk_relay_detect::Detection;
use sdk_relay_events::Hub;
use sdk_relay_http::{Figures, Front};
use sdk_relay_http_common::Edge;
use sdk_relay_index::Index;
use sdk_relay_mesh_net::{Host, Mesh, Syncs};
use sdk_relay_service::dev::DevTools;
use sdk_relay_service::{Identity, KeyWork, Restart, Settings, Status};
use sdk_relay_telemetry::{Counters, LogTap, NodeFigures, Vitals};
use sdk_relay_transport::{AnswerBudget, InputBudget};

/// Every handle that some edge needs.
pub(crate) struct Service {
    pub(crate) status: Status,
    pub(crate) settings: Arc<Settings>,
    pub(crate) restart: Arc<Restart>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) chain: Arc<dyn ChainSource>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) detection: Detection,
    pub(crate) index: Option<Index>,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) syncs: Arc<Syncs>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) dev: Option<Arc<DevTools>>,
    pub(crate) log: LogTap,
    pub(crate) counters: Arc<Counters>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) node: Arc<NodeFigures>,
    pub(crate) input: Arc<InputBudget>,
    pub(crate) answers: Arc<AnswerBudget>,
}

impl Service {
    /// The WebSocket API.
    pub(crate) fn websockets(&self) -> Arc<sdk_relay_ws::Handles> {
        Arc::new(sdk_relay_ws::Handles {
            settings: Arc::clone(&self.settings),
            identity: Arc::clone(&self.identity),
            hub: Arc::clone(&self.hub),
            detection: self.detection.clone(),
            index: self.index.clone(),
            mesh: Arc::clone(&self.mesh),
            syncs: Arc::clone(&self.syncs),
            host: Arc::clone(&self.host),
            key_work: KeyWork::default(),
            input: Arc::clone(&self.input),
            counters: Arc::clone(&self.counters),
        })
    }

    /// The routes of BlindBit.
    fn blindbit(&self) -> Edge {
        sdk_relay_blindbit::edge(sdk_relay_blindbit::Handles {
            settings: Arc::clone(&self.settings),
            chain: Arc::clone(&self.chain),
            index: self.index.clone(),
            answers: Arc::clone(&self.answers),
        })
    }

    /// The HTTP API: its own routes and those of the other edges.
    pub(crate) fn http(
        &self,
        websockets: &Arc<sdk_relay_ws::Handles>,
        registry: Registry,
        private_registry: Registry,
    ) -> Front {
        let edges = vec![self.blindbit(), sdk_relay_ws::edge(websockets)];
        let figures = Figures {
            registry,
            private_registry,
            vitals: Arc::clone(&self.vitals),
            node: Arc::clone(&self.node),
            index: self.index.clone(),
        };
        let handles = sdk_relay_http::Handles {
            status: self.status.clone(),
            settings: Arc::clone(&self.settings),
            restart: Arc::clone(&self.restart),
            identity: Arc::clone(&self.identity),
            chain: Arc::clone(&self.chain),
            hub: Arc::clone(&self.hub),
            mesh: Arc::clone(&self.mesh),
            syncs: Arc::clone(&self.syncs),
            dev: self.dev.clone(),
            log: self.log.clone(),
            counters: Arc::clone(&self.counters),
            figures: Arc::new(figures),
            answers: Arc::clone(&self.answers),
        };
        sdk_relay_http::api(handles, edges)
    }
}
