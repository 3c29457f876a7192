//! Traffic with clients and relays, which several crates count. Every other counter is in the crate that counts it.
//!
//! Public counters include no watch and no message about one: held beside the mempool, such a counter shows which
//! transaction paid a client. Those have counters of their own ([`WatchTraffic`]), which only an administrator sees.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Connections, messages and events, of WebSockets, of links to other relays, and of streams over HTTP.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct Traffic {
    pub connections: Gauge,
    pub clients_behind: Gauge,
    pub messages_received: Counter,
    pub messages_sent: Counter,
    pub notifications_sent: Counter,
    pub connections_refused: Counter,
    pub slow_clients_cut: Counter,
    /// Messages about watches.
    pub watching: WatchTraffic,
}

/// The counters that only an administrator sees. Errors are among them, because they answer watches too.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
)]
pub struct WatchTraffic {
    pub messages_received: Counter,
    pub messages_sent: Counter,
    pub error_replies: Counter,
}

impl WatchTraffic {
    /// Registers all of them below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "watch_messages_received",
            "WebSocket messages about watches received from clients",
            &self.messages_received,
        );
        counter(
            "watch_messages_sent",
            "WebSocket messages about watches sent to clients",
            &self.messages_sent,
        );
        counter("error_replies", "Error messages sent to clients", &self.error_replies);
    }
}

impl Traffic {
    /// Registers all of them below `sdk_relay_`, except those of [`WatchTraffic`]. Names of counters get `_total`
    /// appended in the text form.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "websocket_connections",
            "Current WebSocket connections",
            self.connections.clone(),
        );
        registry.register(
            "clients_behind",
            "WebSocket connections to which not all events have been sent yet",
            self.clients_behind.clone(),
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter(
            "messages_received",
            "WebSocket messages received, without those about watches",
            &self.messages_received,
        );
        counter(
            "messages_sent",
            "WebSocket messages sent, without those about watches and errors",
            &self.messages_sent,
        );
        counter(
            "notifications_sent",
            "Events of the log sent to clients",
            &self.notifications_sent,
        );
        counter(
            "connections_refused",
            "Connections refused because a limit was reached",
            &self.connections_refused,
        );
        counter(
            "slow_clients_cut",
            "Accepted connections that were closed with 1013",
            &self.slow_clients_cut,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_in_the_text() {
        let mut registry = Registry::default();
        let traffic = Traffic::default();
        traffic.register(&mut registry);
        traffic.slow_clients_cut.inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("sdk_relay_slow_clients_cut_total 1\n"), "{text}");
        assert!(!text.contains("sdk_relay_watch"), "{text}");
    }
}
