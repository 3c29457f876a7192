//! `GET /metrics`: JSON as in the reference, or OpenMetrics text for Prometheus, with the same figures.

mod text;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use sdk_relay_events::Hub;
use sdk_relay_http_common::ApiError;
use sdk_relay_protocol::http::{BitcoinMetrics, Metrics, RelayMetrics, SystemMetrics};
use sdk_relay_service::{CheckedHost, Settings, Status};
use sdk_relay_telemetry::Traffic;
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_transport::Peer;

use crate::access::may_administer;
use crate::origins::is_foreign_page;
use crate::requests::HttpMetrics;
use crate::state::{Figures, Shared};

/// Initial capacity of the JSON, to avoid reallocations.
const JSON_BYTES: usize = 2 << 10;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the metrics of the relay, as JSON or as text.
///
/// The relay returns OpenMetrics text if `Accept` prefers `text/plain` or `application/openmetrics-text`, as
/// Prometheus does. Counts of watches, of the payments that they find and of messages about them are only present for
/// an administrator.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "Metrics",
    security(("readToken" = []), ("adminToken" = [])),
    responses((
        status = 200,
        description = "The same figures in both formats",
        content(
            (Metrics = "application/json"),
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
    if prefers_text(&headers) {
        return match text::text(&view.figures, &figures) {
            Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
            Err(_) => ApiError::internal().into_response(),
        };
    }
    let mut body = Vec::with_capacity(JSON_BYTES);
    match serde_json::to_writer(&mut body, &figures) {
        Ok(()) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        // Serialising numbers and texts cannot fail.
        Err(_) => ApiError::internal().into_response(),
    }
}

/// Sources of the figures.
pub(super) struct View {
    settings: Arc<Settings>,
    status: Status,
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

/// Whether a text format precedes JSON in `Accept`, by quality and then by position (RFC 9110, section 12.5.1).
fn prefers_text(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    let best = accepts.rev().filter_map(preference).max_by(|a, b| a.1.total_cmp(&b.1));
    best.is_some_and(|(is_text, quality)| is_text && quality > 0.0)
}

/// One entry of `Accept`: whether it is a text format, and its quality.
fn preference(entry: &str) -> Option<(bool, f64)> {
    let mut parts = entry.split(';').map(str::trim);
    let is_text = match parts.next()? {
        "text/plain" | "application/openmetrics-text" => true,
        "application/json" | "application/*" | "*/*" => false,
        _ => return None,
    };
    let quality = parts
        .find_map(|p| p.strip_prefix("q="))
        .map_or(Some(1.0), |q| q.parse().ok())?;
    Some((is_text, quality))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

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

    #[test]
    fn the_text_format_is_chosen_by_accept() {
        let of =
            |accept: &'static str| prefers_text(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        // Prometheus 2 and 3.
        assert!(of(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ));
        assert!(of("text/plain"));
        assert!(of("text/plain, application/json"));
        assert!(!of("application/json, text/plain"));
        assert!(!of("application/json"));
        assert!(!of("*/*"));
        assert!(!of("text/html"));
        assert!(!of("text/plain;q=0.1, application/json;q=0.9"));
        assert!(!of("text/plain;q=0"));
        assert!(!prefers_text(&HeaderMap::new()));
    }
}
