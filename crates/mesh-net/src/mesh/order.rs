//! Forced syncs.

use sdk_relay_protocol::SyncType;

/// A forced sync.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its identifier.
    pub sync_id: String,
    /// Types to request.
    pub sync_types: Vec<SyncType>,
    /// Relays to send them to.
    pub target_relays: Vec<String>,
}
