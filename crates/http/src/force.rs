//! `POST /sync/force` and `GET /sync/force/{sync_id}`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_mesh_net::{Mesh, Order, Syncs};
use sdk_relay_protocol::SyncType;
use sdk_relay_protocol::http::{FieldError, ForceSyncRequest, ForceSyncResponse, ForcedSync};
use sdk_relay_service::Identity;
use sdk_relay_telemetry::clock::unix_now;

use crate::sync::KINDS;

/// Syncs immediately with relays to which this one has a link.
///
/// The default is all kinds of sync and all linked relays. Without a link there is nothing to do, and the sync is
/// complete immediately.
#[utoipa::path(
    post,
    path = "/sync/force",
    operation_id = "forceSync",
    tag = "Mesh",
    security(("adminToken" = [])),
    request_body = Option<ForceSyncRequest>,
    responses(
        (status = 200, description = "The sync has begun; `GET /sync/force/{sync_id}` reports its progress", body = ForceSyncResponse),
        (status = 422, description = "Unknown kind of sync, or no link to a relay with this name"),
    ),
)]
pub(super) async fn force(
    State(mesh): State<Arc<Mesh>>,
    State(syncs): State<Arc<Syncs>>,
    State(identity): State<Arc<Identity>>,
    body: Option<Body<ForceSyncRequest>>,
) -> Result<Json<ForceSyncResponse>, ApiError> {
    let ForceSyncRequest {
        sync_types,
        target_relays,
    } = body.map_or_else(ForceSyncRequest::default, |Body(request)| request);
    let (sync_types, mut errors) = kinds(sync_types);
    errors.extend(
        target_relays
            .iter()
            .filter_map(|names| no_targets(&mesh, &identity.relay_id, names)),
    );
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    let mut target_relays = target_relays.unwrap_or_else(|| mesh.linked());
    target_relays.sort();
    target_relays.dedup();
    let sync_id = syncs.forced.begin(sync_types.clone(), target_relays.clone());
    let order = Order {
        sync_id: sync_id.clone(),
        sync_types: sync_types.clone(),
        target_relays: target_relays.clone(),
    };
    if !target_relays.is_empty() && !mesh.order(order) {
        return Err(ApiError::unavailable(
            "too many forced syncs are waiting: try again later",
        ));
    }
    let longest = if target_relays.is_empty() {
        0
    } else {
        mesh.longest_sync().as_secs() * sync_types.len() as u64
    };
    Ok(Json(ForceSyncResponse {
        status: "sync_triggered".to_owned(),
        sync_types,
        target_relays,
        timestamp: unix_now(),
        estimated_duration: format!("{longest}s"),
        sync_id,
    }))
}

/// Returns the progress of a forced sync.
#[utoipa::path(
    get,
    path = "/sync/force/{sync_id}",
    operation_id = "getForcedSync",
    tag = "Mesh",
    security(("readToken" = []), ("adminToken" = [])),
    params(("sync_id" = String, Path, description = "`sync_id` from `POST /sync/force`", min_length = 1, example = "sync-789")),
    responses(
        (status = 200, description = "Progress, and the results so far", body = ForcedSync),
        (status = 400, description = "The path is not UTF-8"),
        (status = 404, description = "There is no forced sync with this id; the newest 256 are kept for an hour"),
    ),
)]
pub(super) async fn follow(
    State(syncs): State<Arc<Syncs>>,
    sync_id: Result<Path<String>, PathRejection>,
) -> Result<Json<ForcedSync>, ApiError> {
    let Path(sync_id) = sync_id?;
    syncs
        .forced
        .get(&sync_id)
        .map(Json)
        .ok_or_else(|| ApiError::not_found("there is no forced sync with this id; the newest 256 are kept for an hour"))
}

/// The requested kinds without duplicates, and errors.
fn kinds(requested: Option<Vec<String>>) -> (Vec<SyncType>, Vec<FieldError>) {
    let Some(requested) = requested else {
        return (SyncType::ALL.to_vec(), Vec::new());
    };
    let mut kinds = Vec::new();
    let wrong = |message: String| FieldError {
        field: "sync_types".to_owned(),
        message,
    };
    let mut errors = Vec::new();
    if requested.is_empty() {
        errors.push(wrong(format!(
            "expected one or more of {KINDS}; omit it for all of them"
        )));
    }
    for name in requested {
        match serde_json::from_value::<SyncType>(name.into()) {
            Ok(kind) if kinds.contains(&kind) => {}
            Ok(kind) => kinds.push(kind),
            Err(_) if errors.is_empty() => errors.push(wrong(format!("expected one or more of {KINDS}"))),
            Err(_) => {}
        }
    }
    (kinds, errors)
}

/// Why these relays cannot be synced with.
fn no_targets(mesh: &Mesh, relay_id: &str, names: &[String]) -> Option<FieldError> {
    let linked = mesh.linked();
    let wrong = names.iter().find(|name| !linked.contains(name));
    let message = match wrong {
        None if names.is_empty() => "expected one or more names; omit it for all linked relays".to_owned(),
        None => return None,
        Some(name) if *name == relay_id => "this relay does not sync with itself".to_owned(),
        Some(_) => "this relay has no link to a relay with this name".to_owned(),
    };
    Some(FieldError {
        field: "target_relays".to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn kinds_of_sync() {
        assert_eq!(kinds(None), (SyncType::ALL.to_vec(), Vec::new()));
        let (twice, errors) = kinds(requested(&["HealthSync", "StateSync", "HealthSync"]));
        assert_eq!(
            (twice, errors.len()),
            (vec![SyncType::HealthSync, SyncType::StateSync], 0)
        );
        for wrong in [
            &[][..],
            &["StateSync", "WeatherSync", "SnowSync"],
            &["statesync"],
            &[""],
        ] {
            let (_, errors) = kinds(requested(wrong));
            assert_eq!(errors.len(), 1, "{wrong:?}");
            assert_eq!(errors[0].field, "sync_types");
        }
    }
}
