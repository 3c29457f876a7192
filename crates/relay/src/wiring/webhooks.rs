//! The webhooks.

use std::path::Path;
use std::sync::Arc;

use sdk_relay_config::Config;
use sdk_relay_events::Hub;
use sdk_relay_store::EventLog;
use sdk_relay_supervisor::Supervisor;
use sdk_relay_webhooks::{LogSource, StartError, Timeouts, WebhookMetrics, Webhooks};

/// Opens the webhooks, before the first event is committed: a new one then misses none.
pub(crate) fn open_webhooks(
    config: &Config,
    data_dir: &Path,
    log: Arc<dyn EventLog>,
    hub: &Hub,
    metrics: &WebhookMetrics,
    timeouts: Timeouts,
) -> Result<Webhooks, StartError> {
    let source = Arc::new(LogSource::new(log, hub.head()));
    Webhooks::open(config, data_dir, source, metrics, timeouts)
}

/// Posts the events.
pub(crate) fn spawn_webhooks(webhooks: &Webhooks, supervisor: &Supervisor) {
    for (name, work) in webhooks.work() {
        supervisor.task(name, work);
    }
}
