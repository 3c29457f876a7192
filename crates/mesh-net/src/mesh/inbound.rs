//! Links that are up, until they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sdk_relay_mesh::LinkId;
use sdk_relay_protocol::SyncReply;

use super::Mesh;
use super::link::{Exchange, LinkStep};
use crate::sync::Asker;

/// The end of a link at which the other has dialled: it lives as long as the connection.
pub struct Inbound {
    pub(super) exchange: Exchange,
    pub(super) up: Up,
}

/// A link that stands. Dropped, it is down.
pub(crate) struct Up {
    pub(crate) id: LinkId,
    pub(crate) relay_id: String,
    pub(crate) peer: Arc<Asker>,
    pub(super) mesh: Arc<Mesh>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.mesh.links().remove(&self.id);
        let down = || self.mesh.with(|core, now| core.link_down(now, self.id));
        // Where a panic ends the link, a second one on the way would end the process.
        if catch_unwind(AssertUnwindSafe(down)).is_err() {
            tracing::error!(relay = self.relay_id, "ending a link panicked: please report this bug");
        }
    }
}

impl Inbound {
    /// The next thing to do with the socket. Cancel-safe.
    pub async fn next(&mut self) -> LinkStep {
        self.exchange.next().await
    }

    /// An answer came. False when nobody waits for it.
    pub fn answered(&mut self, reply: SyncReply) -> bool {
        self.exchange.answered(reply)
    }

    /// Its name.
    pub fn id(&self) -> LinkId {
        self.up.id
    }

    /// The other relay.
    pub fn relay_id(&self) -> &str {
        &self.up.relay_id
    }

    /// The other relay, as the cache of answers and the history name it.
    pub fn peer(&self) -> &Asker {
        &self.up.peer
    }
}
