//! What a relay knows about another one first hand, and the states of its failure detection and of its name.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayEntry;

use crate::LinkId;

/// First-hand state of a row. Most rows of a large mesh have none.
#[derive(Default)]
pub struct Local {
    /// The link to the relay.
    pub link: Option<LinkId>,
    /// When something was last received from the relay itself.
    pub last_received: Option<Duration>,
    /// When another relay last received something from it, by an answer to an indirect probe.
    pub indirect_ack: Option<Duration>,
    /// Smoothed round trip; kept after the link has ended.
    pub latency: Option<Duration>,
    /// It does not answer this relay.
    pub suspicion: Option<Suspicion>,
    /// A valid accusation of it was received or made.
    pub accused: Option<Accused>,
    /// Since when it is critical or has left, and was reported as disconnected.
    pub down_since: Option<Duration>,
    /// Consecutive failed dials.
    pub failures: u32,
    /// It is not dialled before this time.
    pub dial_after: Duration,
    /// Accusations by it that were refuted.
    pub strikes: u32,
    /// Another key claims its name: if it does not answer a dial, it loses the name.
    pub contested: bool,
    /// The entry of the claiming key, if that came by hearsay: it replaces this row.
    pub claim: Option<Claim>,
}

/// When an accused relay becomes critical: after its time to refute, if it does not answer this relay either.
#[derive(Clone, Copy)]
pub struct Accused {
    /// End of its time to refute.
    pub deadline: Duration,
    /// It did not answer a dial since, or cannot be dialled.
    pub unresponsive: bool,
}

/// It does not answer this relay.
#[derive(Clone, Copy)]
pub struct Suspicion {
    /// Since when.
    pub since: Duration,
    /// When other relays were last asked to probe it.
    pub probed: Option<Duration>,
}

/// An entry for a name that belongs to another key in this table.
pub struct Claim {
    /// The entry.
    pub entry: Arc<RelayEntry>,
    /// The link over which it was received.
    pub link: LinkId,
    /// The announced distance.
    pub distance: u8,
}

/// A relay that was removed. Until `until` it is not learned again from relays that remove it later.
pub struct Forgotten {
    /// Its key.
    pub public_key: String,
    /// Incarnation and version of its last entry.
    pub order: (u64, u64),
    /// When this record expires.
    pub until: Duration,
}
