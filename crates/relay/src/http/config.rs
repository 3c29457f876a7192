//! `GET /config`.

use axum::Json;
use axum::extract::State;
use sdk_relay_protocol::http::{BitcoinCoreConfig, BlindbitConfig, ConfigView, SyncConfig};

use super::Cx;
use crate::SOFTWARE_VERSION;
use crate::clock::unix_now;

/// What the relay runs with. Secrets have no place in the answer's type.
pub(super) async fn config(State(cx): Cx) -> Json<ConfigView> {
    let config = &cx.config;
    Json(ConfigView {
        relay_id: cx.relay_id.clone(),
        network: config.network.name().to_owned(),
        ws_url: config.ws_url.to_string(),
        http_url: config.http_url.to_string(),
        bitcoin_core: BitcoinCoreConfig {
            url: config.bitcoin_core.url.clone(),
            wallet: config.bitcoin_core.wallet.clone().unwrap_or_default(),
            zmq_url: config.bitcoin_core.zmq_url.clone().unwrap_or_default(),
        },
        blindbit: BlindbitConfig { url: String::new() },
        sync: SyncConfig {
            interval: config.sync_interval.as_secs(),
            health_interval: config.health_interval.as_secs(),
            metrics_interval: config.metrics_interval.as_secs(),
        },
        dev_mode: config.dev_mode,
        standalone: config.standalone,
        timestamp: unix_now(),
        silent_payment_address: cx.address.clone(),
        software_version: SOFTWARE_VERSION.to_owned(),
    })
}
