//! `GET /metrics`: JSON as in the reference, or a text for Prometheus, which has further figures.

mod accept;
mod plain;
mod text;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, VARY};
use sdk_relay_chain::ChainSource;
use sdk_relay_events::Hub;
use sdk_relay_http_common::ApiError;
use sdk_relay_protocol::http::{BitcoinMetrics, Metrics, RelayMetrics, SystemMetrics};
use sdk_relay_service::{CheckedHost, Settings, Status};
use sdk_relay_telemetry::Traffic;
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_transport::Peer;

use accept::Format;
use text::Reading;

use crate::access::may_administer;
use crate::origins::is_foreign_page;
use crate::requests::HttpMetrics;
use crate::state::{Figures, Shared};

/// Initial capacity of the JSON, to avoid reallocations.
const JSON_BYTES: usize = 2 << 10;

/// Returns the metrics of the relay, as JSON or as text.
///
/// `Accept` selects the format: `text/plain` is the text format 0.0.4 of Prometheus, `application/openmetrics-text` is
/// OpenMetrics 1.0.0, which Prometheus prefers; everything else is JSON. Both texts have the same metrics, and more
/// than the JSON. Counts of watches, of the payments that they find and of messages about them, the times of their
/// scans and those of broadcasts are only present for an administrator.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "Metrics",
    security(("readToken" = []), ("adminToken" = [])),
    responses((
        status = 200,
        description = "The metrics, in the format that `Accept` prefers",
        content(
            (Metrics = "application/json"),
            (String = "text/plain", example = "# HELP sdk_relay_uptime_seconds Seconds since the start.\n# TYPE sdk_relay_uptime_seconds gauge\nsdk_relay_uptime_seconds 3600\n"),
            (String = "application/openmetrics-text", example = "# HELP sdk_relay_uptime_seconds Seconds since the start.\n# TYPE sdk_relay_uptime_seconds gauge\nsdk_relay_uptime_seconds 3600\n# EOF\n"),
        ),
    )),
)]
pub(super) async fn metrics(
    State(view): State<View>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(CheckedHost(host)): Extension<CheckedHost>,
    headers: HeaderMap,
) -> Response {
    let config = view.settings.now();
    // A page that may not read the log must not read these through the loopback rule of its visitor either.
    let is_administrator = !is_foreign_page(&headers, &config, host.as_ref())
        && may_administer(&config, peer.ip(), host.as_ref(), &headers).is_ok();
    let figures = figures(&view, is_administrator);
    let format = Format::preferred(&headers);
    let body = match format {
        Format::Json => json(&figures),
        Format::Text => openmetrics(&view, &figures).map(|text| plain::plain(&text).into_bytes()),
        Format::OpenMetrics => openmetrics(&view, &figures).map(String::into_bytes),
    };
    // Formatting numbers and texts in memory cannot fail.
    let Some(body) = body else {
        return ApiError::internal().into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (VARY, HeaderValue::from(ACCEPT)),
    ];
    (headers, body).into_response()
}

fn json(figures: &Metrics) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(JSON_BYTES);
    serde_json::to_writer(&mut body, figures).ok()?;
    // As every answer in JSON ends (`sdk_relay_http_common::Json`).
    body.push(b'\n');
    Some(body)
}

fn openmetrics(view: &View, figures: &Metrics) -> Option<String> {
    let status = &view.status;
    let reading = Reading {
        metrics: figures,
        problems: status.condition().1.len(),
        readiness: status.readiness(),
        signalling: view.chain.signalling(),
        process: &status.process(),
    };
    text::text(&view.figures, &reading).ok()
}

/// Sources of the figures.
pub(super) struct View {
    settings: Arc<Settings>,
    status: Status,
    chain: Arc<dyn ChainSource>,
    traffic: Arc<Traffic>,
    requests: HttpMetrics,
    hub: Arc<Hub>,
    figures: Arc<Figures>,
}

impl FromRef<Shared> for View {
    fn from_ref(shared: &Shared) -> Self {
        Self {
            settings: FromRef::from_ref(shared),
            status: FromRef::from_ref(shared),
            chain: FromRef::from_ref(shared),
            traffic: FromRef::from_ref(shared),
            requests: FromRef::from_ref(shared),
            hub: FromRef::from_ref(shared),
            figures: FromRef::from_ref(shared),
        }
    }
}

fn figures(view: &View, is_administrator: bool) -> Metrics {
    let View {
        status,
        traffic,
        requests,
        hub,
        figures,
        ..
    } = view;
    let private = |figure: u64| is_administrator.then_some(figure);
    let process = status.process();
    let detection = &figures.detection;
    Metrics {
        sync_metrics: status.sync_metrics(),
        system_metrics: SystemMetrics {
            memory_usage: process.memory_usage.clone(),
            cpu_usage: process.cpu_usage.clone(),
            active_connections: status.connections(),
            total_requests: requests.http_requests.get() + traffic.messages_received.get(),
            uptime: status.uptime(),
            memory_bytes: process.memory_bytes,
            cpu_percent: process.cpu_percent,
            disk_usage: process.disk_usage.clone(),
            disk_bytes: process.disk_bytes,
        },
        bitcoin_metrics: node_figures(figures.node.figures(), figures.vitals.tip()),
        timestamp: unix_now(),
        relay_metrics: RelayMetrics {
            last_event_id: hub.newest(),
            tip_height: figures.vitals.tip(),
            watches: private(figures.vitals.watches() as u64),
            watch_payments_detected: private(detection.watch_payments_detected.get()),
            watch_messages_received: private(traffic.watching.messages_received.get()),
            watch_messages_sent: private(traffic.watching.messages_sent.get()),
            payments_detected: detection.payments_detected.get(),
            payments_reverted: detection.payments_reverted.get(),
            blocks_connected: detection.blocks_connected.get(),
            blocks_disconnected: detection.blocks_disconnected.get(),
            transactions_scanned: detection.transactions_scanned.get(),
            notifications_sent: traffic.notifications_sent.get(),
            slow_clients_cut: traffic.slow_clients_cut.get(),
            health: status.condition().0.as_str().to_owned(),
            ready: status.not_ready().is_none(),
            event_source: status.event_source().as_str().to_owned(),
        },
    }
}

/// The figures of the node's last answer. Its best block is at least the tip of the log, which the node has sent.
fn node_figures(last: BitcoinMetrics, tip: Option<u32>) -> BitcoinMetrics {
    BitcoinMetrics {
        block_height: last.block_height.map(|height| height.max(tip.map_or(0, u64::from))),
        ..last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_the_node_is_never_older_than_the_tip_of_the_log() {
        let at = |height| BitcoinMetrics {
            block_height: height,
            ..BitcoinMetrics::default()
        };
        assert_eq!(node_figures(at(Some(7)), Some(9)).block_height, Some(9));
        assert_eq!(node_figures(at(Some(9)), Some(7)).block_height, Some(9));
        assert_eq!(node_figures(at(Some(7)), None).block_height, Some(7));
        assert_eq!(
            node_figures(at(None), Some(7)).block_height,
            None,
            "the node does not answer"
        );
    }
}
