//! A configured address.

use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

/// A configured address.
pub(crate) struct Seed {
    pub(crate) address: String,
    pub(crate) relay: Option<RelayId>,
    pub(crate) failures: u32,
    pub(crate) after: Duration,
}

impl Seed {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            relay: None,
            failures: 0,
            after: Duration::ZERO,
        }
    }
}
