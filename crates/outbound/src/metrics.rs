//! What is counted. Only an administrator may read it: the requests are caused by watches.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::answer::Answer;
use crate::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// Counters of all attempts. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct OutboundMetrics {
    attempts: Family<Labels, Counter>,
}

const RESULTS: [&str; 6] = ["answered", "busy", "refused", "unreachable", "tls", "late"];

impl OutboundMetrics {
    /// Registers them below `sdk_relay_`, each with its zero.
    pub fn register(&self, registry: &mut Registry) {
        for result in RESULTS {
            self.attempts.get_or_create(&Labels { result }).inc_by(0);
        }
        registry.sub_registry_with_prefix("sdk_relay").register(
            "outbound_requests",
            "Requests to URLs that clients have named, by their result",
            self.attempts.clone(),
        );
    }

    pub(crate) fn count(&self, result: Result<&Answer, &Failure>) {
        let result = match result {
            Ok(_) => "answered",
            Err(Failure::Busy(_)) => "busy",
            Err(Failure::Refused) => "refused",
            Err(Failure::Unreachable(_) | Failure::Http(_)) => "unreachable",
            Err(Failure::Tls(_)) => "tls",
            Err(Failure::Late { .. }) => "late",
        };
        self.attempts.get_or_create(&Labels { result }).inc();
    }
}
