//! Who has called.

use std::net::IpAddr;
use std::sync::Arc;

use sdk_relay_transport::{AddressPermit, Shutdown};

/// What the front of the interface knows about a call.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// Ends streams.
    pub(super) ending: Shutdown,
    /// Given back when the last clone is dropped. Work on a blocking thread goes on when its call is cancelled, and so
    /// has a clone of its own: a client that cancels its calls has no more work in progress than one that does not.
    pub(super) permit: Arc<AddressPermit>,
}
