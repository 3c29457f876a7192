//! The interface of the mesh to the relay that contains it.

use std::pin::Pin;
use std::sync::Arc;

use sdk_relay_config::Config;
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::{Event, SyncPayload, SyncType};
use tokio::sync::watch;

/// The relay around its mesh.
pub trait Host: Send + Sync {
    /// Its configuration, and each change of it.
    fn config(&self) -> watch::Receiver<Arc<Config>>;

    /// Its condition now, as other relays are notified of it.
    fn status(&self) -> RelayStatus;

    /// What it reports of itself in a sync of this type. Gossip is added by the mesh.
    fn payload(&self, sync_type: SyncType) -> SyncPayload;

    /// Adds an event to its log. The future ends once the log has taken it on.
    fn log(&self, event: Event) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
