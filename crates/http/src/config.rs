//! `GET /config` and `PUT /config`. The table of settings defines which settings they show and change.

mod patch;

use std::sync::Arc;

use axum::extract::State;
use hyper::StatusCode;
use sdk_relay_http_common::{ApiError, Body, Json};
use sdk_relay_protocol::http::{ConfigChanged, ConfigView};
use sdk_relay_service::{ChangeError, Identity, Settings, shown};
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_telemetry::clock::unix_now;
use serde::Serialize;
use serde_json::{Map, Value};

use patch::ConfigPatch;

/// Changes the configuration while the relay runs.
///
/// The body is a JSON merge patch (RFC 7396) of what `GET /config` shows. The relay applies all changes or none, and
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
pub(super) async fn config(State(settings): State<Arc<Settings>>, State(identity): State<Arc<Identity>>) -> Json<View> {
    let config = settings.now();
    Json(View {
        relay_id: identity.relay_id.clone(),
        network: config.network.name(),
        settings: shown(&config),
        timestamp: unix_now(),
        silent_payment_address: identity.address.clone(),
        software_version: SOFTWARE_VERSION,
        restart_required: settings.restart_required(),
    })
}

/// A [`ConfigView`], with the settings from their table.
#[derive(Serialize)]
pub(super) struct View {
    relay_id: String,
    network: &'static str,
    #[serde(flatten)]
    settings: Map<String, Value>,
    timestamp: u64,
    silent_payment_address: Option<String>,
    software_version: &'static str,
    restart_required: bool,
}

#[cfg(test)]
mod tests {
    use sdk_relay_config::{Loader, Overrides};
    use sdk_relay_protocol::encode_text;

    use super::*;

    /// The type of the protocol, used by clients and in the API description, has the settings of the table, in order.
    #[test]
    fn the_view_matches_the_protocol() {
        let dir = tempfile::tempdir().unwrap();
        let overrides = Overrides::default().with_data_dir(dir.path());
        let view = View {
            relay_id: "relay".to_owned(),
            network: "mainnet",
            settings: shown(&Loader::new(overrides).load().unwrap()),
            timestamp: 1,
            silent_payment_address: Some("sp1".to_owned()),
            software_version: "0",
            restart_required: false,
        };
        let text = encode_text(&view).unwrap();
        let read: ConfigView = serde_json::from_str(&text).unwrap();
        assert_eq!(encode_text(&read).unwrap(), text);
    }
}
