//! An indirect probe for another relay.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::RelayId;

/// A relay that a peer asked this one to probe.
pub(crate) struct IndirectProbe {
    pub(crate) target: RelayId,
    pub(crate) link: LinkId,
    pub(crate) until: Duration,
}
