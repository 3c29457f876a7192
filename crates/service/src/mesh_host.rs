//! Interface of the relay to its mesh.

use std::pin::Pin;
use std::sync::Arc;

use sdk_relay_config::Config;
use sdk_relay_detect::Detection;
use sdk_relay_mesh_net::Host;
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::{Event, SyncPayload, SyncType};
use tokio::sync::watch;

use crate::settings::Settings;
use crate::status::{Condition, Status};

/// Implements the `Host` of the mesh.
pub struct MeshHost {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The reports.
    pub status: Status,
    /// Adds events to the log.
    pub detection: Detection,
}

impl Host for MeshHost {
    fn config(&self) -> watch::Receiver<Arc<Config>> {
        self.settings.watch()
    }

    fn status(&self) -> RelayStatus {
        match self.status.serving().0 {
            Condition::Healthy => RelayStatus::Healthy,
            Condition::Degraded => RelayStatus::Degraded,
            Condition::Critical => RelayStatus::Critical,
        }
    }

    fn payload(&self, sync_type: SyncType) -> SyncPayload {
        self.status.payload(sync_type)
    }

    fn log(&self, event: Event) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.detection.log(event))
    }
}
