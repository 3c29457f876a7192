//! What is counted for each webhook. An administrator reads it: the names are the operator's.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    webhook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    webhook: String,
    result: &'static str,
}

/// Counters of all webhooks.
#[derive(Clone, Debug, Default)]
pub struct WebhookMetrics {
    attempts: Family<Attempt, Counter>,
    gaps: Family<Labels, Counter>,
    lag: Family<Labels, Gauge>,
    disabled: Family<Labels, Gauge>,
}

/// Those of one webhook.
#[derive(Clone, Debug)]
pub(crate) struct EndpointMetrics {
    pub(crate) delivered: Counter,
    pub(crate) failed: Counter,
    pub(crate) gaps: Counter,
    pub(crate) lag: Gauge,
    pub(crate) disabled: Gauge,
}

impl WebhookMetrics {
    /// Registers all of them below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay");
        registry.register(
            "webhook_attempts",
            "Attempts to post an event to a webhook",
            self.attempts.clone(),
        );
        registry.register(
            "webhook_gaps",
            "Runs of events or blocks that a webhook was told to be missing",
            self.gaps.clone(),
        );
        registry.register(
            "webhook_lag_events",
            "Events of the log after the position of a webhook",
            self.lag.clone(),
        );
        registry.register(
            "webhook_disabled",
            "1 if a webhook is disabled, otherwise 0",
            self.disabled.clone(),
        );
    }

    /// The counters of this webhook, which are there from now on.
    pub(crate) fn of(&self, name: &str) -> EndpointMetrics {
        let labels = Labels {
            webhook: name.to_owned(),
        };
        let attempts = |result| {
            let webhook = name.to_owned();
            self.attempts.get_or_create_owned(&Attempt { webhook, result })
        };
        EndpointMetrics {
            delivered: attempts("delivered"),
            failed: attempts("failed"),
            gaps: self.gaps.get_or_create_owned(&labels),
            lag: self.lag.get_or_create_owned(&labels),
            disabled: self.disabled.get_or_create_owned(&labels),
        }
    }
}
