//! What requests to the node cost, and how they fail.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use sdk_relay_telemetry::{Bounds, Histogram, HistogramFamily};

use super::RpcError;

/// From an answer over loopback to the timeout of most calls.
const BOUNDS: Bounds = &[
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000, 30_000_000,
];
/// Several calls in one request.
pub(super) const BATCH: &str = "batch";
/// The REST interface.
pub(super) const REST: &str = "rest";
const OTHER: &str = "other";
/// The requests that the relay sends regularly.
const REQUESTS: [&str; 7] = [
    "getblockchaininfo",
    "getblockhash",
    "getblock",
    "gettxspendingprevout",
    BATCH,
    REST,
    OTHER,
];
/// Sent for a client only. Compared with the mempool, a public count of it would show which transaction came through
/// this relay.
const BROADCAST: &str = "sendrawtransaction";

/// The values of [`kind`], so that all are there from the start.
const KINDS: [&str; 7] = [
    "unreachable",
    "proxy",
    "busy",
    "unauthorized",
    "starting",
    "refused",
    "malformed",
];

/// Times and errors of requests to the node.
#[derive(Debug)]
pub struct RpcMetrics {
    seconds: HistogramFamily,
    broadcast_seconds: Histogram,
    errors: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Default for RpcMetrics {
    fn default() -> Self {
        let errors = Family::default();
        for kind in KINDS {
            drop(errors.get_or_create_owned(&[("kind", kind)]));
        }
        Self {
            seconds: HistogramFamily::new("request", &REQUESTS, BOUNDS),
            broadcast_seconds: Histogram::new(BOUNDS),
            errors,
        }
    }
}

impl RpcMetrics {
    /// Registers all of them below `sdk_relay_`; in `private` those that only an administrator may read.
    pub fn register(&self, registry: &mut Registry, private: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register_with_unit(
            "rpc",
            "Time of a request to the node, including the wait for one of the connections; without sendrawtransaction",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "rpc_errors",
            "Requests to the node that failed, without sendrawtransaction; refused: the node answered with an error, which may be expected",
            self.errors.clone(),
        );
        private.sub_registry_with_prefix("sdk_relay").register_with_unit(
            "rpc_broadcast",
            "Time of sending the transaction of a client to the node (sendrawtransaction)",
            Unit::Seconds,
            self.broadcast_seconds.clone(),
        );
    }

    /// Records a request of this method, or [`BATCH`] or [`REST`].
    pub(super) fn record(&self, request: &str, time: Duration, error: Option<&RpcError>) {
        if request == BROADCAST {
            self.broadcast_seconds.observe(time);
            return;
        }
        if let Some(histogram) = self.seconds.get(request).or_else(|| self.seconds.get(OTHER)) {
            histogram.observe(time);
        }
        if let Some(error) = error {
            self.errors.get_or_create(&[("kind", kind(error))]).inc();
        }
    }
}

fn kind(error: &RpcError) -> &'static str {
    match error {
        RpcError::Unreachable { .. } => "unreachable",
        RpcError::Proxy { .. } => "proxy",
        RpcError::Busy { .. } => "busy",
        RpcError::Unauthorized { .. } | RpcError::NoCookie { .. } => "unauthorized",
        RpcError::Warming { .. } => "starting",
        RpcError::Server { .. } | RpcError::Rest { .. } => "refused",
        RpcError::Malformed { .. } | RpcError::Address { .. } => "malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn requests_are_counted_by_kind_and_those_for_a_client_apart() {
        let (mut public, mut private) = (Registry::default(), Registry::default());
        let metrics = RpcMetrics::default();
        metrics.register(&mut public, &mut private);
        let before = text(&public);
        assert!(
            before.contains("sdk_relay_rpc_errors_total{kind=\"busy\"} 0\n"),
            "{before}"
        );
        let error = RpcError::Unreachable {
            at: "127.0.0.1:8332".to_owned(),
            reason: "closed".to_owned(),
        };
        metrics.record(BROADCAST, Duration::from_millis(3), Some(&error));
        assert_eq!(text(&public), before, "nothing public changes");
        assert!(text(&private).contains("sdk_relay_rpc_broadcast_seconds_count 1\n"));

        metrics.record("getblock", Duration::from_millis(3), None);
        metrics.record("getzmqnotifications", Duration::from_millis(3), Some(&error));
        let after = text(&public);
        for line in [
            "sdk_relay_rpc_seconds_count{request=\"getblock\"} 1\n",
            "sdk_relay_rpc_seconds_bucket{le=\"0.002\",request=\"getblock\"} 0\n",
            "sdk_relay_rpc_seconds_bucket{le=\"0.005\",request=\"getblock\"} 1\n",
            "sdk_relay_rpc_seconds_count{request=\"other\"} 1\n",
            "sdk_relay_rpc_errors_total{kind=\"unreachable\"} 1\n",
        ] {
            assert!(after.contains(line), "{line}{after}");
        }
    }
}
