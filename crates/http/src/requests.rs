//! What the HTTP API counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Requests since the start.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    /// Requests of every kind.
    pub http_requests: Counter,
}

impl HttpMetrics {
    /// Registers it below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register("http_requests", "HTTP requests", self.http_requests.clone());
    }
}
