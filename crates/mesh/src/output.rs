//! The outputs of the state machine, and the identifiers that it shares with its driver.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::{Gossip, RelayId};

/// A dial, numbered by the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// A request, numbered by the state machine: the driver returns it with the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The authenticated peer of a link.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name.
    pub relay_id: RelayId,
    /// Its public key, 32 bytes in hex, proven in the handshake.
    pub public_key: String,
    /// The dial that led to this link; `None` if the peer dialled.
    pub dial: Option<DialId>,
    /// Round trip of the handshake.
    pub latency: Duration,
}

/// An action for the driver.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a `StateSync` request with this gossip. The state machine repeats unanswered requests; the driver need not.
    Request {
        /// The link.
        link: LinkId,
        /// To be returned with the response.
        token: Token,
        /// The gossip.
        gossip: Box<Gossip>,
    },
    /// Dial and perform the handshake, then call [`Mesh::link_up`](crate::Mesh::link_up) or
    /// [`Mesh::dial_failed`](crate::Mesh::dial_failed) within [`limits::DIAL_TIMEOUT`](crate::limits::DIAL_TIMEOUT).
    Dial {
        /// To be returned with the result.
        dial: DialId,
        /// `HOST:PORT` or a WebSocket URL. It may come from a peer: the driver rejects what the configuration does not
        /// allow.
        address: String,
        /// Expected name and key. `None` for a configured address.
        expect: Option<(RelayId, String)>,
    },
    /// Close the link. `link_down` need not be called for it.
    Close {
        /// The link.
        link: LinkId,
        /// The reason.
        reason: CloseReason,
    },
    /// A relay joined the mesh or is back: `relay_connected`. It need not be linked.
    /// [`Mesh::relay`](crate::Mesh::relay) has the details.
    Connected(RelayId),
    /// A relay left the mesh or is critical: `relay_disconnected`.
    Disconnected {
        /// Its name.
        relay_id: RelayId,
        /// Its last address.
        address: String,
        /// Whether it announced that it leaves.
        left: bool,
    },
}

/// Why the state machine closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// There is another link to the same relay.
    Duplicate,
    /// All slots are in use; the peer may have been redirected.
    Full,
    /// The probe or exchange is complete.
    Passing,
    /// The slot is needed for a relay without links.
    SlotNeeded,
    /// Nothing was received for three intervals.
    Silent,
    /// The peer forwarded an entry that its owner has not signed, or uses a name of another key.
    Misbehaving,
    /// The peer is this relay itself.
    SelfConnection,
    /// This relay leaves the mesh.
    Leaving,
    /// The driver cannot serve it.
    Failed,
}
