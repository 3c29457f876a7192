//! Who has called.

use std::net::IpAddr;

use sdk_relay_transport::Shutdown;

/// What the front of the interface knows about a call.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// Ends streams.
    pub(super) ending: Shutdown,
}
