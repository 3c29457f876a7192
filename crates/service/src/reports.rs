//! What the relay says of itself: `/health`, and the payloads of the three kinds of `sync` messages.

use std::time::Duration;

use sdk_relay_chain::SourceError;
use sdk_relay_chain::follower::FollowState;
use sdk_relay_index::oracle::OracleState;
use sdk_relay_index::{Index, IndexState, IndexStatus};
use sdk_relay_protocol::http::{Checks, Health, IndexHealth, Services, SyncMetrics};
use sdk_relay_protocol::{
    API_VERSION, HealthPayload, HealthReport, MetricsPayload, MetricsReport, StatePayload, StateReport, SyncPayload,
    SyncType,
};
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_telemetry::{SOFTWARE_VERSION, WalletState};
use tokio::time::Instant;

use crate::context::Context;

/// Overall condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All is well.
    Healthy,
    /// Something is amiss; what can be served is served.
    Degraded,
    /// Nothing useful can be served.
    Critical,
}

impl Condition {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

/// A publisher of signals gets this long to connect, and a signal to come: polling may find a change a moment before it.
const SIGNALS_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks whether the relay is ready.
const READY_LOOK: Duration = Duration::from_millis(10);

/// The relay's condition and what is wrong, in a sentence each.
pub fn condition(cx: &Context) -> (Condition, Vec<String>) {
    let (mut condition, mut problems) = serving(cx);
    problems.extend(signals(cx));
    problems.extend(cx.mesh.problems());
    problems.extend(
        cx.restart
            .given_up()
            .map(|reason| format!("the last restart was given up, and the relay goes on as it was: {reason}")),
    );
    if !problems.is_empty() && condition == Condition::Healthy {
        condition = Condition::Degraded;
    }
    (condition, problems)
}

/// What keeps the node's signals from coming. The node is polled meanwhile.
fn signals(cx: &Context) -> Option<String> {
    let signalling = cx.chain.signalling()?;
    let follow = cx.follow.borrow();
    if !matches!(follow.state, FollowState::Following) {
        return None;
    }
    let lasts = |since: Instant| since.elapsed() >= SIGNALS_WITHIN;
    let url = &signalling.url;
    if let Some((since, reason)) = signalling.unreached {
        return lasts(since).then(|| {
            format!("bitcoin_core.zmq_url {url} cannot be reached ({reason}): the node is polled, and payments are seen later")
        });
    }
    follow.unsignalled.filter(|since| lasts(*since)).map(|_| {
        let why = signalling.missing.unwrap_or_else(|| {
            "check that it is the address of zmqpubsequence, zmqpubrawtx and zmqpubhashblock of this node".to_owned()
        });
        format!(
            "bitcoin_core.zmq_url {url} is connected and does not tell of the node's changes, which is polled: {why}"
        )
    })
}

/// The relay's condition as far as its clients are concerned. What an operator alone has to mend is no reason to send them elsewhere.
pub fn serving(cx: &Context) -> (Condition, Vec<String>) {
    let mut problems = Vec::new();
    let mut condition = Condition::Healthy;
    let follow = cx.follow.borrow();
    match &follow.state {
        FollowState::Following => {}
        FollowState::Connecting => problems.push("the node has not answered yet".to_owned()),
        FollowState::Unreachable { error } => problems.push(error.to_string()),
        FollowState::WaitingForNode { blocks, headers } => {
            problems.push(format!("the node is synchronising: block {blocks} of {headers}"));
        }
        FollowState::CatchingUp { at, target } => problems.push(format!("catching up: block {at} of {target}")),
    }
    if let WalletState::Unavailable(why) = cx.vitals.wallet() {
        problems.push(why);
    }
    if let Some(oracle) = &cx.oracle {
        problems.extend(oracle.state().problem(oracle.url()));
    }
    if let Some(index) = &cx.index {
        problems.extend(index.problems(matches!(follow.state, FollowState::Following)));
    }
    if !problems.is_empty() {
        condition = Condition::Degraded;
    }
    let node_away = matches!(follow.state, FollowState::Unreachable { .. } | FollowState::Connecting);
    if node_away && cx.vitals.tip().is_none() {
        condition = Condition::Critical;
    }
    if let FollowState::Unreachable {
        error: SourceError::WrongChain { .. },
    } = &follow.state
    {
        // It will not pass by itself, and the node's other answers are about another chain.
        condition = Condition::Critical;
    }
    if cx.vitals.store_fails() {
        problems.push("events cannot be written: check the disk of data_dir".to_owned());
        condition = Condition::Critical;
    }
    if let Some(failure) = &*cx.failure.borrow() {
        problems.insert(0, format!("{failure}: the process is exiting"));
        condition = Condition::Critical;
    }
    (condition, problems)
}

/// Why the relay is not ready: `None` when it follows the tip and knows the mempool.
pub fn not_ready(cx: &Context) -> Option<String> {
    let (_, problems) = serving(cx);
    let follow = cx.follow.borrow();
    let following = matches!(follow.state, FollowState::Following);
    if following
        && cx.vitals.mempool_known()
        && follow.tip.map(|t| t.height) == cx.vitals.tip()
        && !cx.vitals.store_fails()
        && cx.failure.borrow().is_none()
    {
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
pub async fn ready(cx: &Context) {
    let mut follow = cx.follow.clone();
    while not_ready(cx).is_some() {
        // The status wakes at every change of the follower; what detection does behind it takes a moment more.
        // Either way the next look decides.
        drop(tokio::time::timeout(READY_LOOK, follow.changed()).await);
    }
}

/// `GET /health`.
pub fn health(cx: &Context) -> (Condition, Health) {
    let (condition, problems) = condition(cx);
    let bitcoin_core = match &cx.follow.borrow().state {
        // It answers; what we need is not loaded yet.
        FollowState::Unreachable {
            error: SourceError::Warming { .. },
        }
        | FollowState::WaitingForNode { .. }
        | FollowState::CatchingUp { .. } => "syncing",
        FollowState::Connecting | FollowState::Unreachable { .. } => "disconnected",
        FollowState::Following => "connected",
    };
    let (tweaks, tweaks_come) = source_of_tweaks(cx);
    let health = Health {
        status: condition.word().to_owned(),
        uptime: cx.uptime(),
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
        index: cx.index.as_ref().map(|index| index_health(&index.status.borrow())),
    };
    (condition, health)
}

/// Where the index's tweaks come from, in a word, and whether they come.
fn source_of_tweaks(cx: &Context) -> (&'static str, bool) {
    if let Some(oracle) = &cx.oracle {
        let state = oracle.state();
        return (state.as_str(), matches!(state, OracleState::Connected(_)));
    }
    let failing = |index: &Index| matches!(index.status.borrow().state, IndexState::Failing(_));
    ("own_index", !cx.index.as_ref().is_some_and(failing))
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

/// The payload of a `sync` message of this type.
pub fn payload(cx: &Context, sync_type: SyncType) -> SyncPayload {
    match sync_type {
        SyncType::StateSync => SyncPayload::State(StatePayload {
            state: state(cx),
            gossip: None,
        }),
        SyncType::HealthSync => SyncPayload::Health(HealthPayload {
            health: health_report(cx),
        }),
        SyncType::MetricsSync => SyncPayload::Metrics(MetricsPayload { metrics: metrics(cx) }),
    }
}

fn state(cx: &Context) -> StateReport {
    StateReport {
        uptime: cx.uptime(),
        version: API_VERSION.to_owned(),
        network: cx.config().network.name().to_owned(),
        status: condition(cx).0.word().to_owned(),
        last_block: cx.vitals.tip(),
        connections: cx.connections(),
        known_relays: cx.known_relays(),
        mesh_connections: cx.mesh_connections(),
        software_version: SOFTWARE_VERSION.to_owned(),
    }
}

fn health_report(cx: &Context) -> HealthReport {
    let figures = cx.process.figures();
    HealthReport {
        status: condition(cx).0.word().to_owned(),
        memory_usage: figures.memory_usage.clone(),
        cpu_usage: figures.cpu_usage.clone(),
        disk_usage: figures.disk_usage.clone(),
        network_latency: cx.mesh.around().latency_ms,
        error_count: cx.log.errors(),
        last_error: cx.log.last_error(),
        memory_bytes: figures.memory_bytes,
        cpu_percent: figures.cpu_percent,
        disk_bytes: figures.disk_bytes,
    }
}

/// How syncing goes, as `GET /metrics` and `MetricsSync` tell it.
pub fn sync_metrics(cx: &Context) -> SyncMetrics {
    let counters = &cx.counters;
    SyncMetrics {
        known_relays: cx.known_relays(),
        mesh_connections: cx.mesh_connections(),
        sync_requests: counters.sync_requests.get(),
        sync_responses: counters.sync_responses.get(),
        cache_hits: counters.cache_hits.get(),
        cache_misses: counters.cache_misses.get(),
        avg_latency: counters.sync_latency_ms(),
        error_count: counters.sync_errors.get(),
        success_rate: counters.sync_success_rate(),
    }
}

fn metrics(cx: &Context) -> MetricsReport {
    let SyncMetrics {
        known_relays,
        mesh_connections,
        sync_requests,
        sync_responses,
        cache_hits,
        cache_misses,
        avg_latency,
        error_count,
        success_rate,
    } = sync_metrics(cx);
    MetricsReport {
        known_relays,
        mesh_connections,
        sync_requests,
        sync_responses,
        cache_hits,
        cache_misses,
        avg_latency,
        error_count,
        success_rate,
        messages_per_second: cx.rate.per_second(),
    }
}
