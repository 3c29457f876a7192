//! Condition, problems and readiness of the relay: `GET /health`.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_chain::follower::FollowState;
use sdk_relay_chain::{EventSource, SourceError};
use sdk_relay_index::oracle::OracleState;
use sdk_relay_index::{Index, IndexState, IndexStatus};
use sdk_relay_protocol::API_VERSION;
use sdk_relay_protocol::http::{Checks, Health, IndexHealth, Services};
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_telemetry::{ProcessFigures, SOFTWARE_VERSION, WalletState};
use sdk_relay_transport::Tls;
use tokio::time::Instant;

use crate::sources::Sources;

/// Overall condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No problems.
    Healthy,
    /// There is a problem; the relay serves what it can.
    Degraded,
    /// The relay cannot serve.
    Critical,
}

impl Condition {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Critical];

    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

/// Grace period for the publisher of signals to connect, and for a signal to arrive: polling may find a change shortly
/// before it.
const SIGNALS_WITHIN: Duration = Duration::from_secs(5);

fn lasts(since: Instant) -> bool {
    since.elapsed() >= SIGNALS_WITHIN
}

/// Poll interval of the readiness.
const READY_LOOK: Duration = Duration::from_millis(10);

/// The status of the relay, and the reports on it. Clones are handles to the same one.
#[derive(Clone)]
pub struct Status(pub(crate) Arc<Sources>);

impl Status {
    /// The status of a relay with these sources.
    pub fn new(sources: Sources) -> Self {
        Self(Arc::new(sources))
    }

    /// Seconds since the start.
    pub fn uptime(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }

    /// WebSocket connections now.
    pub fn connections(&self) -> u64 {
        u64::try_from(self.0.traffic.connections.get()).unwrap_or(0)
    }

    /// Links to other relays now.
    pub(crate) fn mesh_connections(&self) -> u64 {
        self.0.mesh.linked().len() as u64
    }

    /// Relays known, this one included.
    pub(crate) fn known_relays(&self) -> u64 {
        self.0.mesh.around().known + 1
    }

    /// The highest block that detection has committed.
    pub fn tip(&self) -> Option<u32> {
        self.0.vitals.tip()
    }

    /// Memory, processor and disk.
    pub fn process(&self) -> Arc<ProcessFigures> {
        self.0.process.figures()
    }

    /// Condition and problems of the relay, one sentence each.
    pub fn condition(&self) -> (Condition, Vec<String>) {
        self.condition_with(self.oracle_state().as_ref())
    }

    fn condition_with(&self, oracle: Option<&OracleState>) -> (Condition, Vec<String>) {
        let (mut condition, mut problems) = self.serving_with(oracle);
        problems.extend(self.signals());
        problems.extend(self.0.mesh.problems());
        problems.extend(self.0.tls.as_ref().and_then(Tls::problem));
        problems.extend(self.0.others.iter().flat_map(|part| part.problems()));
        problems.extend(self.0.restart.given_up().map(|reason| {
            format!("the last restart was abandoned, and the relay continues with its previous configuration: {reason}")
        }));
        if !problems.is_empty() && condition == Condition::Healthy {
            condition = Condition::Degraded;
        }
        (condition, problems)
    }

    /// How changes of the chain and of the mempool reach the relay; `None` until the first attempt to receive signals
    /// has ended.
    pub fn known_event_source(&self) -> Option<EventSource> {
        let source = self.0.chain.event_source()?;
        // Nothing arrives from the publisher: it may be that of another node.
        let is_silent = self.0.follow.borrow().unsignalled.is_some_and(lasts);
        Some(if source == EventSource::Zmq && is_silent {
            EventSource::Polling
        } else {
            source
        })
    }

    /// The same; until it is known, the source is polled.
    pub fn event_source(&self) -> EventSource {
        self.known_event_source().unwrap_or(EventSource::Polling)
    }

    /// Waits until [`Self::known_event_source`] is known, up to this long.
    pub async fn event_source_within(&self, limit: Duration) -> EventSource {
        let known = async {
            while self.known_event_source().is_none() {
                tokio::time::sleep(READY_LOOK).await;
            }
        };
        drop(tokio::time::timeout(limit, known).await);
        self.event_source()
    }

    /// Why signals of the node do not arrive. The node is polled meanwhile.
    fn signals(&self) -> Option<String> {
        let signalling = self.0.chain.signalling()?;
        let follow = self.0.follow.borrow();
        if !matches!(follow.state, FollowState::Following) {
            return None;
        }
        let Some(url) = &signalling.url else {
            let problem = "the node publishes no ZMQ messages: it is polled, and payments are seen a second later; add zmqpubsequence, zmqpubrawtx and zmqpubhashblock to its bitcoin.conf and restart it, or set bitcoin_core.zmq_url to \"off\"";
            return Some(problem.to_owned());
        };
        let (what, todo) = if signalling.is_reported {
            (
                format!("the ZMQ address {url}, which the node reports,"),
                "; set bitcoin_core.zmq_url to an address at which this machine reaches it, or to \"off\"",
            )
        } else {
            (format!("bitcoin_core.zmq_url {url}"), "")
        };
        if let Some((since, reason)) = signalling.unreached {
            return lasts(since).then(|| {
                format!("{what} cannot be reached ({reason}): the node is polled, and payments are seen later{todo}")
            });
        }
        if let Some(reason) = signalling.keeps_ending {
            return Some(format!(
                "the connection to {what} ends again and again ({reason}): the node is polled in between, and payments are seen later; check what is between the relay and the node (a proxy, a tunnel, a firewall), and the log of the node, or set bitcoin_core.zmq_url to \"off\""
            ));
        }
        let is_silent = follow.unsignalled.is_some_and(lasts);
        (signalling.is_partial || is_silent).then(|| {
            let why = signalling.missing.unwrap_or_else(|| {
                "check that it is the address of zmqpubsequence, zmqpubrawtx and zmqpubhashblock of this node".to_owned()
            });
            format!(
                "{what} is connected, but not all changes of the node arrive there: the node is polled, and payments are seen later: {why}"
            )
        })
    }

    /// Condition of the relay for its clients, without problems that concern only the operator.
    pub fn serving(&self) -> (Condition, Vec<String>) {
        self.serving_with(self.oracle_state().as_ref())
    }

    /// Read once for each report, so that its parts agree.
    fn oracle_state(&self) -> Option<OracleState> {
        self.0.oracle.as_ref().map(|oracle| oracle.state())
    }

    fn serving_with(&self, oracle_state: Option<&OracleState>) -> (Condition, Vec<String>) {
        let mut problems = Vec::new();
        let mut condition = Condition::Healthy;
        let follow = self.0.follow.borrow();
        match &follow.state {
            FollowState::Following => {}
            FollowState::Connecting => problems.push("the node has not answered yet".to_owned()),
            FollowState::Unreachable { error } => problems.push(error.to_string()),
            FollowState::WaitingForNode { blocks, headers } => {
                problems.push(format!("the node is synchronising: block {blocks} of {headers}"));
            }
            FollowState::CatchingUp { at, target } => problems.push(format!("catching up: block {at} of {target}")),
        }
        let node_away = matches!(follow.state, FollowState::Unreachable { .. } | FollowState::Connecting);
        // The wallet of a node that is away is away for the same reason.
        if let WalletState::Unavailable(why) = self.0.vitals.wallet()
            && !node_away
        {
            problems.push(why);
        }
        if let (Some(oracle), Some(state)) = (&self.0.oracle, oracle_state) {
            problems.extend(state.problem(oracle.url()));
        }
        if let Some(index) = &self.0.index {
            problems.extend(index.problems(matches!(follow.state, FollowState::Following)));
        }
        if !problems.is_empty() {
            condition = Condition::Degraded;
        }
        if node_away && self.0.vitals.tip().is_none() {
            condition = Condition::Critical;
        }
        if let FollowState::Unreachable {
            error: SourceError::WrongChain { .. },
        } = &follow.state
        {
            // Permanent: the node follows another chain.
            condition = Condition::Critical;
        }
        if self.0.vitals.store_fails() {
            problems.push("events cannot be written: check the disk of data_dir".to_owned());
            condition = Condition::Critical;
        }
        if let Some(failure) = &*self.0.failure.borrow() {
            problems.insert(0, format!("{failure}: the process is exiting"));
            condition = Condition::Critical;
        }
        (condition, problems)
    }

    /// What the relay needs to be ready, by the names that metrics use, and whether it has it.
    pub fn readiness(&self) -> [(&'static str, bool); 5] {
        let follow = self.0.follow.borrow();
        [
            ("chain", matches!(follow.state, FollowState::Following)),
            ("mempool", self.0.vitals.mempool_known()),
            ("detection", follow.tip.map(|t| t.height) == self.0.vitals.tip()),
            ("store", !self.0.vitals.store_fails()),
            ("process", self.0.failure.borrow().is_none()),
        ]
    }

    /// Why the relay is not ready: `None` when it follows the tip and knows the mempool.
    pub fn not_ready(&self) -> Option<String> {
        let (_, problems) = self.serving();
        if self.readiness().iter().all(|(_, has)| *has) {
            return None;
        }
        Some(
            problems
                .into_iter()
                .next()
                .unwrap_or_else(|| "the mempool is being scanned".to_owned()),
        )
    }

    /// Waits until the relay follows the tip and knows the mempool.
    pub async fn ready(&self) {
        let mut follow = self.0.follow.clone();
        while self.not_ready().is_some() {
            // The follower notifies of its changes; detection follows with a short delay. Check again in both cases.
            drop(tokio::time::timeout(READY_LOOK, follow.changed()).await);
        }
    }

    /// `GET /health`.
    pub fn health(&self) -> (Condition, Health) {
        let oracle = self.oracle_state();
        let (condition, problems) = self.condition_with(oracle.as_ref());
        let bitcoin_core = match &self.0.follow.borrow().state {
            // It answers, but is still loading.
            FollowState::Unreachable {
                error: SourceError::Warming { .. },
            }
            | FollowState::WaitingForNode { .. }
            | FollowState::CatchingUp { .. } => "syncing",
            FollowState::Connecting | FollowState::Unreachable { .. } => "disconnected",
            FollowState::Following => "connected",
        };
        let (tweaks, tweaks_come) = self.source_of_tweaks(oracle.as_ref());
        let health = Health {
            status: condition.as_str().to_owned(),
            uptime: self.uptime(),
            version: API_VERSION.to_owned(),
            timestamp: unix_now(),
            services: Services {
                bitcoin_core: bitcoin_core.to_owned(),
                blindbit: tweaks.to_owned(),
                websocket: "listening".to_owned(),
                sync_manager: "active".to_owned(),
            },
            checks: Checks {
                bitcoin_rpc: bitcoin_core != "disconnected",
                blindbit_api: tweaks_come,
                websocket_server: true,
                sync_manager: true,
            },
            software_version: SOFTWARE_VERSION.to_owned(),
            problems,
            event_source: self.event_source().as_str().to_owned(),
            index: self.0.index.as_ref().map(|index| index_health(&index.status.borrow())),
        };
        (condition, health)
    }

    /// Source of the tweaks of the index, and whether it is available.
    fn source_of_tweaks(&self, oracle: Option<&OracleState>) -> (&'static str, bool) {
        if let Some(state) = oracle {
            return (state.as_str(), matches!(state, OracleState::Connected(_)));
        }
        let failing = |index: &Index| matches!(index.status.borrow().state, IndexState::Failing(_));
        ("own_index", !self.0.index.as_ref().is_some_and(failing))
    }
}

fn index_health(status: &IndexStatus) -> IndexHealth {
    IndexHealth {
        state: status.as_str().to_owned(),
        first_height: status.first,
        height: status.tip.map(|t| t.height),
        target: status.target,
        progress: (status.progress() * 1000.0).floor() / 1000.0,
        error: match &status.state {
            IndexState::Failing(error) => Some(error.clone()),
            _ => None,
        },
    }
}
