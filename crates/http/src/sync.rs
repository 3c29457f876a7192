//! `GET /sync/status` and `GET /sync/history`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sdk_relay_http_common::{ApiError, Json, query};
use sdk_relay_mesh_net::{HistoryFilter, Mesh, Syncs};
use sdk_relay_protocol::SyncType;
use sdk_relay_protocol::http::{SyncFailure, SyncHistory, SyncHistoryFilters, SyncOutcome, SyncStatistics, SyncStatus};
use sdk_relay_telemetry::clock::unix_now;
use serde::Deserialize;

/// Number of failed syncs in `/sync/status`; the history contains the others.
const FAILURES_SHOWN: usize = 10;
/// The kinds of sync, as an error names them.
pub(super) const KINDS: &str = "StateSync, HealthSync, MetricsSync";

/// Returns the state of syncing.
#[utoipa::path(
    get,
    path = "/sync/status",
    operation_id = "getSyncStatus",
    tag = "Mesh",
    security(("readToken" = []), ("adminToken" = [])),
    responses((status = 200, description = "Counts since the start, and pending requests", body = SyncStatus)),
)]
pub(super) async fn status(State(mesh): State<Arc<Mesh>>, State(syncs): State<Arc<Syncs>>) -> Json<SyncStatus> {
    let active_syncs = mesh.active();
    let failed = HistoryFilter {
        status: Some(SyncOutcome::Failed),
        ..HistoryFilter::default()
    };
    let errors = syncs.history.page(&failed, FAILURES_SHOWN).records;
    let metrics = syncs.metrics();
    let (good, bad) = (metrics.sync_responses.get(), metrics.sync_errors.get());
    Json(SyncStatus {
        status: if active_syncs.is_empty() { "idle" } else { "syncing" }.to_owned(),
        last_sync: syncs.history.last(),
        next_sync: syncs.next.at(),
        sync_types: SyncType::ALL.to_vec(),
        errors: errors
            .into_iter()
            .map(|record| SyncFailure {
                timestamp: record.timestamp,
                sync_type: record.sync_type,
                target_relay: record.target_relay,
                error: record.error.unwrap_or_default(),
            })
            .collect(),
        statistics: SyncStatistics {
            total_syncs: good + bad,
            successful_syncs: good,
            failed_syncs: bad,
            success_rate: metrics.sync_success_rate(),
            avg_duration: metrics.sync_latency_ms(),
        },
        active_syncs,
        timestamp: unix_now(),
    })
}

/// Filters of `GET /sync/history`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Maximum number of entries: 1 to 1000, default 100.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    #[serde(default, deserialize_with = "query::number")]
    limit: Option<u64>,
    /// Oldest entry, in Unix seconds, inclusive.
    #[param(nullable = false)]
    #[serde(default, deserialize_with = "query::number")]
    since: Option<u64>,
    /// `StateSync`, `HealthSync` or `MetricsSync`.
    #[param(value_type = Option<SyncType>, inline, nullable = false)]
    sync_type: Option<String>,
    /// The other side: a `relay_id`, or a `connection_id`.
    #[param(nullable = false)]
    target_relay: Option<String>,
    /// `success` or `failed`.
    #[param(value_type = Option<SyncOutcome>, inline, nullable = false)]
    status: Option<String>,
}

/// Lists finished syncs, newest first.
#[utoipa::path(
    get,
    path = "/sync/history",
    operation_id = "getSyncHistory",
    tag = "Mesh",
    security(("readToken" = []), ("adminToken" = [])),
    params(HistoryQuery),
    responses(
        (status = 200, description = "The entries that match, and their numbers", body = SyncHistory),
        (status = 400, description = "The query cannot be parsed"),
        (status = 422, description = "The value of a filter is not acceptable"),
    ),
)]
pub(super) async fn history(
    State(syncs): State<Arc<Syncs>>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<SyncHistory>, ApiError> {
    let Query(query) = query?;
    let limit = query::limit(query.limit)?;
    let filter = HistoryFilter {
        since: query.since,
        sync_type: query::parse_enum("sync_type", query.sync_type.as_deref(), KINDS)?,
        target_relay: query.target_relay,
        status: query::parse_enum("status", query.status.as_deref(), "success, failed")?,
    };
    let page = syncs.history.page(&filter, limit as usize);
    Ok(Json(SyncHistory {
        history: page.records,
        total: page.successful + page.failed,
        successful: page.successful,
        failed: page.failed,
        filters: SyncHistoryFilters {
            limit,
            since: filter.since,
            sync_type: filter.sync_type,
            target_relay: filter.target_relay,
            status: filter.status,
        },
        timestamp: unix_now(),
    }))
}
