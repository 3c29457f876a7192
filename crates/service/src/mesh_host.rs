//! The relay, as its mesh sees it.

use std::pin::Pin;
use std::sync::Arc;

use sdk_relay_config::Config;
use sdk_relay_mesh_net::Host;
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::{Event, SyncPayload, SyncType};
use tokio::sync::watch;

use crate::context::Context;
use crate::reports::{self, Condition};

impl Host for Context {
    fn config(&self) -> watch::Receiver<Arc<Config>> {
        self.settings.watch()
    }

    fn status(&self) -> RelayStatus {
        match reports::serving(self).0 {
            Condition::Healthy => RelayStatus::Healthy,
            Condition::Degraded => RelayStatus::Degraded,
            Condition::Critical => RelayStatus::Critical,
        }
    }

    fn payload(&self, sync_type: SyncType) -> SyncPayload {
        reports::payload(self, sync_type)
    }

    fn log(&self, event: Event) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.detection.log(event))
    }
}
