//! What is measured, and what samples it all the time.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use sdk_relay_chain::ChainSource;
use sdk_relay_service::node_figures;
use sdk_relay_supervisor::Supervisor;
use sdk_relay_telemetry::{Counters, NodeFigures, Rate, Vitals};

/// The registries of `GET /metrics`.
#[derive(Default)]
pub(crate) struct Registries {
    pub(crate) public: Registry,
    /// Sent only to clients that may read the watches.
    pub(crate) private: Registry,
}

/// The counters and gauges of a relay.
pub(crate) struct Metrics {
    pub(crate) counters: Arc<Counters>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) node: Arc<NodeFigures>,
}

impl Metrics {
    /// Registers the counters. `tip` is the highest block that the event log has.
    pub(crate) fn new(tip: Option<u32>, registries: &mut Registries) -> Self {
        let counters = Arc::new(Counters::default());
        counters.register(&mut registries.public);
        counters.watching.register(&mut registries.private);
        Self {
            counters,
            vitals: Arc::new(Vitals::new(tip)),
            rate: Arc::default(),
            node: Arc::default(),
        }
    }

    /// Samples the rate of messages and the figures of the node.
    pub(crate) fn spawn(&self, supervisor: &Supervisor, chain: &Arc<dyn ChainSource>) {
        let (rate, counters) = (Arc::clone(&self.rate), Arc::clone(&self.counters));
        supervisor.task("message rate", async move {
            rate.sample(|| counters.messages_received.get() + counters.messages_sent.get())
                .await;
        });
        let (chain, node) = (Arc::clone(chain), Arc::clone(&self.node));
        supervisor.task("node figures", async move {
            node.poll(|| node_figures(&*chain)).await;
        });
    }
}
