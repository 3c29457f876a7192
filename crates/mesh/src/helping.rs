//! An indirect probe for another relay.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::RelayId;

/// A relay that another looks for.
pub(crate) struct Helping {
    pub(crate) target: RelayId,
    pub(crate) link: LinkId,
    pub(crate) until: Duration,
}
