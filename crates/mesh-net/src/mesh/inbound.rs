//! Links that are up, until they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sdk_relay_mesh::LinkId;
use sdk_relay_protocol::SyncReply;

use super::Mesh;
use super::link::{Exchange, LinkStep};
use crate::sync::Asker;

/// A link that the peer dialled; it ends with its connection.
pub struct Inbound {
    pub(super) exchange: Exchange,
    pub(super) up: Up,
}

/// A link that is up. Dropping it takes it down.
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
        // During a panic that ends the link, a second panic would abort the process.
        if catch_unwind(AssertUnwindSafe(down)).is_err() {
            tracing::error!(relay = self.relay_id, "ending a link panicked: please report this bug");
        }
    }
}

impl Inbound {
    /// The next step for the socket. Cancel-safe.
    pub async fn next(&mut self) -> LinkStep {
        self.exchange.next().await
    }

    /// A response arrived. Returns false if no request waits for it.
    pub fn answered(&mut self, reply: SyncReply) -> bool {
        self.exchange.answered(reply)
    }

    /// Its identifier.
    pub fn id(&self) -> LinkId {
        self.up.id
    }

    /// The name of the peer.
    pub fn relay_id(&self) -> &str {
        &self.up.relay_id
    }

    /// The peer, as the response cache and the history identify it.
    pub fn peer(&self) -> &Asker {
        &self.up.peer
    }
}
