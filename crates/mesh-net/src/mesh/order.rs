//! Syncs that a person asked for.

use sdk_relay_protocol::SyncType;

/// A forced sync.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its name.
    pub sync_id: String,
    /// What to ask for.
    pub sync_types: Vec<SyncType>,
    /// Whom to ask.
    pub target_relays: Vec<String>,
}
