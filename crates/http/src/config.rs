//! `GET /config` and `PUT /config`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hyper::StatusCode;
use sdk_relay_http_common::{ApiError, Body};
use sdk_relay_protocol::http::{BitcoinCoreConfig, BlindbitConfig, ConfigChanged, ConfigPatch, ConfigView, SyncConfig};
use sdk_relay_service::{ChangeError, Identity, Settings};
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_telemetry::clock::unix_now;
use serde_json::{Map, Value};

/// Changes the configuration while the relay runs.
///
/// The body is a JSON merge patch (RFC 7386) of what `GET /config` shows. The relay applies all changes or none, and
/// keeps them across restarts. `null` reverts a change. `restart_required` is `true` if a change takes effect only
/// after `POST /restart`. The credentials of the node belong to the address that they were configured with: after a
/// change of `bitcoin_core.url` the relay sends none, until the operator sets the same address in the file or the
/// environment; `warnings` says so.
#[utoipa::path(
    put,
    path = "/config",
    operation_id = "changeConfig",
    tag = "Operation",
    security(("adminToken" = [])),
    request_body = ConfigPatch,
    responses(
        (status = 200, description = "Changed", body = ConfigChanged),
        (status = 422, description = "Nothing was changed: a value is not acceptable, or a name is not that of a setting that can be changed"),
        (status = 503, description = "Nothing was changed: the relay cannot write to its data directory"),
    ),
)]
pub(super) async fn change(
    State(settings): State<Arc<Settings>>,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Json<ConfigChanged>, ApiError> {
    let changed = settings.change(&patch).await.map_err(|error| match error {
        ChangeError::Fields(errors) => ApiError::fields(errors),
        ChangeError::Config(error) => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        ChangeError::Unwritable(_) => {
            tracing::error!(%error, "cannot write a change of the configuration; nothing was changed");
            ApiError::unavailable(error.to_string())
        }
    })?;
    Ok(Json(ConfigChanged {
        status: "updated".to_owned(),
        changes: changed.changes,
        timestamp: unix_now(),
        restart_required: changed.restart_required,
        warnings: changed.warnings,
    }))
}

/// Returns the current configuration, without secrets.
#[utoipa::path(
    get,
    path = "/config",
    operation_id = "getConfig",
    tag = "Operation",
    security(("readToken" = []), ("adminToken" = [])),
    responses((status = 200, description = "The configuration, including changes that wait for a restart", body = ConfigView)),
)]
pub(super) async fn config(
    State(settings): State<Arc<Settings>>,
    State(identity): State<Arc<Identity>>,
) -> Json<ConfigView> {
    let config = settings.now();
    Json(ConfigView {
        relay_id: identity.relay_id.clone(),
        network: config.network.name().to_owned(),
        ws_url: config.ws_url.to_string(),
        http_url: config.http_url.to_string(),
        bitcoin_core: BitcoinCoreConfig {
            url: config.bitcoin_core.url.clone(),
            wallet: config.bitcoin_core.wallet.clone().unwrap_or_default(),
            zmq_url: config.bitcoin_core.zmq_url.clone().unwrap_or_default(),
        },
        blindbit: BlindbitConfig {
            url: config.blindbit_url.clone().unwrap_or_default(),
        },
        sync: SyncConfig {
            interval: config.sync_interval.as_secs(),
            health_interval: config.health_interval.as_secs(),
            metrics_interval: config.metrics_interval.as_secs(),
        },
        dev_mode: config.dev_mode,
        standalone: config.standalone,
        timestamp: unix_now(),
        silent_payment_address: identity.address.clone(),
        software_version: SOFTWARE_VERSION.to_owned(),
        restart_required: settings.restart_required(),
    })
}
