//! What the edges serve.

use std::sync::Arc;
use std::time::Instant;

use sdk_relay_bip352::Receiver;
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_config::{Config, Loader};
use sdk_relay_detect::Detection;
use sdk_relay_events::Hub;
use sdk_relay_index::Index;
use sdk_relay_index::oracle::Oracle;
use sdk_relay_mesh_net::Host;
use sdk_relay_service::dev::DevTools;
use sdk_relay_service::{FirstBlocks, Identity, MeshHost, Restart, Settings, Sources, Status};
use sdk_relay_supervisor::Supervisor;
use sdk_relay_telemetry::{LogTap, Process};
use sdk_relay_transport::{AnswerBudget, InputBudget, Tls};
use sdk_relay_webhooks::Webhooks;
use tokio::sync::watch;

use super::mesh::MeshHandles;
use super::metrics::Metrics;
use crate::timeouts::Timeouts;

/// Every handle that some edge needs.
pub(crate) struct Service {
    pub(crate) status: Status,
    pub(crate) settings: Arc<Settings>,
    pub(crate) restart: Arc<Restart>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) first_blocks: Arc<FirstBlocks>,
    pub(crate) input_budget: Arc<InputBudget>,
    pub(crate) answers: Arc<AnswerBudget>,
    pub(crate) timeouts: Timeouts,
    pub(crate) parts: Parts,
}

/// What the service is made of.
pub(crate) struct Parts {
    pub(crate) chain: Arc<dyn ChainSource>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) detection: Detection,
    pub(crate) index: Option<Index>,
    pub(crate) oracle: Option<Arc<Oracle>>,
    pub(crate) mesh: MeshHandles,
    pub(crate) webhooks: Webhooks,
    pub(crate) dev: Option<Arc<DevTools>>,
    pub(crate) log: LogTap,
    pub(crate) metrics: Metrics,
    pub(crate) tls: Option<Tls>,
}

/// Puts together what the edges get their handles from. `config` is the one that the relay has started with.
pub(crate) fn open_service(
    parts: Parts,
    (loader, config): (Loader, Config),
    own: Option<&Receiver>,
    follow: watch::Receiver<FollowStatus>,
    started: Instant,
    supervisor: &Supervisor,
    timeouts: Timeouts,
) -> Service {
    let metrics = &parts.metrics;
    let identity = Arc::new(Identity {
        relay_id: parts.mesh.relay_id.clone(),
        address: own.map(|own| own.address(config.network.silent_payment()).to_string()),
    });
    let input_budget = InputBudget::with_deadline(
        config.input_memory,
        metrics.input.unfinished_inputs_cut.clone(),
        timeouts.transport.input,
    );
    let process = Process::new(&config.data_dir);
    let settings = Arc::new(Settings::new(loader, config));
    let restart = Arc::<Restart>::default();
    let status = Status::new(Sources {
        settings: Arc::clone(&settings),
        restart: Arc::clone(&restart),
        chain: Arc::clone(&parts.chain),
        follow,
        traffic: Arc::clone(&metrics.traffic),
        syncs: Arc::clone(&metrics.mesh),
        vitals: Arc::clone(&metrics.vitals),
        log: parts.log.clone(),
        process,
        index: parts.index.clone(),
        oracle: parts.oracle.clone(),
        rate: Arc::clone(&metrics.rate),
        mesh: Arc::clone(&parts.mesh.mesh),
        tls: parts.tls.clone(),
        others: vec![Arc::new(parts.webhooks.clone())],
        started,
        failure: supervisor.failures(),
    });
    let host = Arc::new(MeshHost {
        settings: Arc::clone(&settings),
        status: status.clone(),
        detection: parts.detection.clone(),
    });
    Service {
        status,
        settings,
        restart,
        identity,
        host,
        first_blocks: Arc::new(FirstBlocks::new(Arc::clone(&parts.chain))),
        input_budget,
        answers: Arc::default(),
        timeouts,
        parts,
    }
}
