//! What the edge counts. Requests about payments and transactions are counted for an administrator only: beside the
//! mempool they would show when a client received or sent a payment.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Kinds of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `server.*`.
    Server,
    /// Headers and tips.
    Headers,
    /// Fees.
    Fees,
    /// Transactions and proofs.
    Transactions,
    /// `blockchain.scripthash.*`.
    Scripts,
    /// `blockchain.silentpayments.*`.
    SilentPayments,
    /// No method, or no request.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    class: &'static str,
    result: &'static str,
}

/// Counters of the Electrum protocol.
#[derive(Clone, Debug, Default)]
pub struct ElectrumMetrics {
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Open connections to the backend.
    pub(crate) backend_connections: Gauge,
    /// Connections to the backend that were lost or not made.
    pub(crate) backend_failures: Counter,
    /// Subscriptions of clients that the backend has refused after a connection to it was lost.
    pub(crate) backend_refused_subscriptions: Counter,
    requests: Family<Labels, Counter>,
    private_requests: Family<Labels, Counter>,
}

impl Class {
    const ALL: [Self; 7] = [
        Self::Server,
        Self::Headers,
        Self::Fees,
        Self::Transactions,
        Self::Scripts,
        Self::SilentPayments,
        Self::Unknown,
    ];

    /// The class of a method.
    pub(crate) fn of(method: &str) -> Self {
        let starts = |prefix: &str| method.starts_with(prefix);
        match method {
            _ if starts("server.") => Self::Server,
            _ if starts("blockchain.headers.") || starts("blockchain.block.") => Self::Headers,
            "blockchain.estimatefee" | "blockchain.relayfee" | "mempool.get_fee_histogram" => Self::Fees,
            _ if starts("blockchain.transaction.") => Self::Transactions,
            _ if starts("blockchain.scripthash.") => Self::Scripts,
            _ if starts("blockchain.silentpayments.") => Self::SilentPayments,
            _ => Self::Unknown,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Headers => "headers",
            Self::Fees => "fees",
            Self::Transactions => "transactions",
            Self::Scripts => "scripthash",
            Self::SilentPayments => "silentpayments",
            Self::Unknown => "unknown",
        }
    }

    /// Whether everybody may read how many there are. Errors of a wallet that scans are among the unknown ones.
    fn is_public(self) -> bool {
        matches!(self, Self::Server | Self::Headers | Self::Fees)
    }
}

impl ElectrumMetrics {
    /// Registers all of them below `sdk_relay_`; in `private` those that only an administrator may read.
    pub fn register(&self, registry: &mut Registry, private: &mut Registry) {
        // So that each is there, and 0, from the start.
        for class in Class::ALL {
            for result in [true, false] {
                drop(self.family(class).get_or_create(&labels(class, result)));
            }
        }
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "electrum_connections",
            "Current connections over the Electrum protocol",
            self.connections.clone(),
        );
        registry.register(
            "electrum_requests",
            "Requests over the Electrum protocol that are about no payment, by class and result",
            self.requests.clone(),
        );
        let private = private.sub_registry_with_prefix("sdk_relay");
        private.register(
            "electrum_private_requests",
            "Requests over the Electrum protocol about payments and transactions, by class and result",
            self.private_requests.clone(),
        );
        private.register(
            "electrum_backend_connections",
            "Current connections to the Electrum server in electrum.backend: one for each client that needs it",
            self.backend_connections.clone(),
        );
        private.register(
            "electrum_backend_failures",
            "Connections to the Electrum server in electrum.backend that were lost or not made",
            self.backend_failures.clone(),
        );
        private.register(
            "electrum_backend_refused_subscriptions",
            "Subscriptions to scripts that the Electrum server in electrum.backend had before, and refused after a lost connection",
            self.backend_refused_subscriptions.clone(),
        );
    }

    /// Counts an answered request.
    pub(crate) fn count(&self, class: Class, is_ok: bool) {
        self.family(class).get_or_create(&labels(class, is_ok)).inc();
    }

    fn family(&self, class: Class) -> &Family<Labels, Counter> {
        if class.is_public() {
            &self.requests
        } else {
            &self.private_requests
        }
    }
}

fn labels(class: Class, is_ok: bool) -> Labels {
    Labels {
        class: class.as_str(),
        result: if is_ok { "ok" } else { "error" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_tell_of_payments_is_private() {
        let (mut public, mut private) = (Registry::default(), Registry::default());
        let metrics = ElectrumMetrics::default();
        metrics.register(&mut public, &mut private);
        metrics.count(Class::of("blockchain.silentpayments.subscribe"), true);
        metrics.count(Class::of("blockchain.scripthash.subscribe"), false);
        metrics.count(Class::of("blockchain.transaction.broadcast"), true);
        metrics.count(Class::of("blockchain.estimatefee"), true);
        metrics.count(Class::of("blockchain.silentpaymentz"), false);
        let text = |registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            text
        };
        let (public, private) = (text(&public), text(&private));
        assert!(
            public.contains(r#"electrum_requests_total{class="fees",result="ok"} 1"#),
            "{public}"
        );
        for class in ["silentpayments", "scripthash", "transactions", "unknown"] {
            assert!(!public.contains(class), "{public}");
            assert!(
                private.contains(&format!(r#"class="{class}",result="ok""#)),
                "{private}"
            );
        }
    }
}
