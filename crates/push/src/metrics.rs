//! What is counted. Only an administrator may read it: the messages are caused by payments.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// Counters of push messages. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PushMetrics {
    messages: Family<Labels, Counter>,
    /// Watches with a message that is not delivered.
    pub(crate) pending: Gauge,
}

const RESULTS: [&str; 6] = ["delivered", "gone", "rejected", "failed", "postponed", "given_up"];

impl PushMetrics {
    /// Registers them below `sdk_relay_`, each with its zero.
    pub fn register(&self, registry: &mut Registry) {
        for result in RESULTS {
            self.count(result, 0);
        }
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "push_messages",
            "Attempts to send a message of Web Push, by their result",
            self.messages.clone(),
        );
        registry.register(
            "push_pending",
            "Watches with a message of Web Push that is not delivered yet",
            self.pending.clone(),
        );
    }

    pub(crate) fn count(&self, result: &'static str, by: u64) {
        self.messages.get_or_create(&Labels { result }).inc_by(by);
    }
}
