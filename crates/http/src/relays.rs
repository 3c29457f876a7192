//! `GET /relays` and `GET /relays/{relay_id}`: this relay, and the authenticated relays of its mesh.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, Path, Query, State};
use sdk_relay_config::{url_of, without_scheme};
use sdk_relay_http_common::{ApiError, Json, query};
use sdk_relay_mesh_net::{Mesh, MeshRelay};
use sdk_relay_protocol::API_VERSION;
use sdk_relay_protocol::http::{
    Link, RelayConfiguration, RelayDetails, RelayHealth, RelayList, RelayMetricsDetails, RelayParts, RelaySummary,
    RelaySyncs,
};
use sdk_relay_service::{CAPABILITIES, Identity, Settings, Status};
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_telemetry::clock::unix_now;
use serde::Deserialize;

use crate::state::Shared;

/// Filters of `GET /relays`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RelaysQuery {
    /// `healthy`, `warning` or `critical`.
    #[param(value_type = Option<RelayHealth>, inline, nullable = false)]
    status: Option<String>,
    /// Maximum number of relays: 1 to 1000, default 100.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    #[serde(default, deserialize_with = "query::number")]
    limit: Option<u64>,
}

/// Lists the relays that this one knows: itself first, then the others by round-trip time, then by name.
#[utoipa::path(
    get,
    path = "/relays",
    operation_id = "listRelays",
    tag = "Mesh",
    security(("readToken" = []), ("adminToken" = [])),
    params(RelaysQuery),
    responses(
        (status = 200, description = "The relays that match, and their numbers", body = RelayList),
        (status = 400, description = "The query cannot be parsed"),
        (status = 422, description = "The value of a filter is not acceptable"),
    ),
)]
pub(super) async fn list(
    State(view): State<View>,
    query: Result<Query<RelaysQuery>, QueryRejection>,
) -> Result<Json<RelayList>, ApiError> {
    let Query(RelaysQuery { status, limit }) = query?;
    let limit = query::limit(limit)?;
    let status: Option<RelayHealth> = query::parse_enum("status", status.as_deref(), "healthy, warning, critical")?;
    let all = std::iter::once(own(&view)).chain(others(&view));
    let matching: Vec<RelayDetails> = all.filter(|r| status.is_none() || r.health == status).collect();
    let count = |health| matching.iter().filter(|r| r.health == Some(health)).count() as u64;
    Ok(Json(RelayList {
        total: matching.len() as u64,
        healthy: count(RelayHealth::Healthy),
        warning: count(RelayHealth::Warning),
        critical: count(RelayHealth::Critical),
        relays: matching.into_iter().take(limit as usize).map(summary).collect(),
        timestamp: unix_now(),
    }))
}

/// Returns one relay.
#[utoipa::path(
    get,
    path = "/relays/{relay_id}",
    operation_id = "getRelay",
    tag = "Mesh",
    security(("readToken" = []), ("adminToken" = [])),
    params(("relay_id" = String, Path, description = "Name of the relay, as in `GET /relays`", min_length = 1, example = "relay-1")),
    responses(
        (status = 200, description = "The relay", body = RelayDetails),
        (status = 400, description = "The path is not UTF-8"),
        (status = 404, description = "This relay does not know a relay with this name"),
    ),
)]
pub(super) async fn one(
    State(view): State<View>,
    relay_id: Result<Path<String>, PathRejection>,
) -> Result<Json<RelayDetails>, ApiError> {
    let Path(relay_id) = relay_id?;
    if relay_id == view.identity.relay_id {
        return Ok(Json(own(&view)));
    }
    others(&view).find(|r| r.relay_id == relay_id).map(Json).ok_or_else(|| {
        ApiError::not_found("this relay does not know a relay with this name: GET /relays lists the known ones")
    })
}

/// Sources of the answers.
pub(super) struct View {
    settings: Arc<Settings>,
    status: Status,
    identity: Arc<Identity>,
    mesh: Arc<Mesh>,
}

impl FromRef<Shared> for View {
    fn from_ref(shared: &Shared) -> Self {
        Self {
            settings: FromRef::from_ref(shared),
            status: FromRef::from_ref(shared),
            identity: FromRef::from_ref(shared),
            mesh: FromRef::from_ref(shared),
        }
    }
}

/// The relays of the mesh: the nearest first, then by name.
fn others(view: &View) -> impl Iterator<Item = RelayDetails> {
    let mut all: Vec<RelayDetails> = view.mesh.relays().into_iter().map(of_mesh).collect();
    all.sort_by(|a, b| {
        let far = |r: &RelayDetails| r.latency.unwrap_or(f64::INFINITY);
        far(a).total_cmp(&far(b))
    });
    all.into_iter()
}

fn of_mesh(relay: MeshRelay) -> RelayDetails {
    let facts = relay.facts;
    RelayDetails {
        relay_id: relay.relay_id,
        address: relay.url.as_deref().map(|url| without_scheme(url).to_owned()),
        version: relay.version,
        uptime: facts.uptime().or(relay.uptime),
        health: Some(relay.health),
        last_seen: relay.last_seen,
        capabilities: relay.capabilities,
        connections: facts.connections,
        metrics: RelayMetricsDetails {
            sync_requests: facts.sync_requests,
            sync_responses: facts.sync_responses,
            avg_latency: facts.avg_latency,
            error_count: facts.error_count,
            success_rate: facts.success_rate,
        },
        configuration: RelayConfiguration {
            network: facts.network,
            ..RelayConfiguration::default()
        },
        status: RelayParts {
            sync_active: Some(relay.link != Link::Gossip),
            ..RelayParts::default()
        },
        timestamp: unix_now(),
        latency: relay.latency.map(|l| (l.as_secs_f64() * 1e6).round() / 1000.0),
        public_key: Some(relay.public_key),
        url: relay.url,
        link: relay.link,
        last_block: facts.last_block,
        software_version: Some(relay.software_version),
    }
}

fn own(view: &View) -> RelayDetails {
    let config = view.settings.now();
    let (_, health) = view.status.health();
    let syncs = view.status.sync_metrics();
    let now = unix_now();
    RelayDetails {
        relay_id: view.identity.relay_id.clone(),
        address: view.mesh.address().map(|address| without_scheme(address).to_owned()),
        version: API_VERSION.to_owned(),
        uptime: Some(view.status.uptime()),
        health: RelayHealth::from_status(&health.status),
        last_seen: now,
        capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
        connections: Some(view.status.connections()),
        metrics: RelayMetricsDetails {
            sync_requests: Some(syncs.sync_requests),
            sync_responses: Some(syncs.sync_responses),
            avg_latency: syncs.avg_latency,
            error_count: Some(syncs.error_count),
            success_rate: syncs.success_rate,
        },
        configuration: RelayConfiguration {
            network: Some(config.network.name().to_owned()),
            dev_mode: Some(config.dev_mode),
            sync_interval: Some(config.sync_interval.as_secs()),
        },
        status: RelayParts {
            bitcoin_connected: Some(health.checks.bitcoin_rpc),
            blindbit_connected: Some(health.checks.blindbit_api),
            websocket_listening: Some(health.checks.websocket_server),
            sync_active: Some(health.checks.sync_manager),
        },
        timestamp: now,
        latency: None,
        public_key: Some(view.mesh.public_key().to_owned()),
        url: view.mesh.address().and_then(url_of),
        link: Link::Own,
        last_block: view.status.tip(),
        software_version: Some(SOFTWARE_VERSION.to_owned()),
    }
}

fn summary(details: RelayDetails) -> RelaySummary {
    RelaySummary {
        relay_id: details.relay_id,
        address: details.address,
        version: details.version,
        uptime: details.uptime,
        health: details.health,
        last_seen: details.last_seen,
        capabilities: details.capabilities,
        connections: details.connections,
        metrics: RelaySyncs {
            sync_requests: details.metrics.sync_requests,
            sync_responses: details.metrics.sync_responses,
            avg_latency: details.metrics.avg_latency,
        },
        latency: details.latency,
        public_key: details.public_key,
        url: details.url,
        link: details.link,
        last_block: details.last_block,
        software_version: details.software_version,
    }
}
