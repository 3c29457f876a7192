//! What the state machine asks its driver to do, and the names that both use.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::{Gossip, RelayId};

/// A dial, named by the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// A request, named by the state machine: the driver hands it back with the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Who stands at the other end of a link, proven by the handshake.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name.
    pub relay_id: RelayId,
    /// Its public key, 32 bytes in hex; it has signed the handshake's challenge.
    pub public_key: String,
    /// The dial that this link comes from; `None` where the other dialled.
    pub dial: Option<DialId>,
    /// How long the handshake's round trip took.
    pub latency: Duration,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a `StateSync` request with this gossip. The state machine sends again by itself what stays unanswered: the driver need not.
    Request {
        /// Over which link.
        link: LinkId,
        /// Goes back with the response.
        token: Token,
        /// The addition.
        gossip: Box<Gossip>,
    },
    /// Dial, shake hands, then [`Mesh::link_up`](crate::Mesh::link_up) or [`Mesh::dial_failed`](crate::Mesh::dial_failed). An end within
    /// [`limits::DIAL_TIMEOUT`](crate::limits::DIAL_TIMEOUT) is taken for granted.
    Dial {
        /// Goes back with the result.
        dial: DialId,
        /// `HOST:PORT` or a WebSocket URL. It may come from a peer: the driver refuses what the operator does not allow.
        address: String,
        /// Who must answer: name and key. `None` for a configured address.
        expect: Option<(RelayId, String)>,
    },
    /// Close the link. `link_down` need not be told for it.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// A relay joined the mesh, or is back: `relay_connected`. It need not be linked. [`Mesh::relay`](crate::Mesh::relay) has the details.
    Connected(RelayId),
    /// A relay left the mesh or is critical: `relay_disconnected`.
    Disconnected {
        /// Which.
        relay_id: RelayId,
        /// Where it was reached.
        address: String,
        /// Whether it said goodbye.
        goodbye: bool,
    },
}

/// Why the state machine closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// There is another link to the same relay.
    Duplicate,
    /// No room: the other has been told relays with room, perhaps.
    Full,
    /// It was only to see whether the other is there.
    Passing,
    /// A link makes room for a relay that has none.
    MakesRoom,
    /// Nothing came for three intervals.
    Silent,
    /// It passed on what its owner has not signed, or is not who it was.
    Dishonest,
    /// It is this relay itself.
    Own,
    /// This relay leaves the mesh.
    Leaving,
    /// The driver cannot serve it.
    Failed,
}
