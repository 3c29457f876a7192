//! The mesh of this relay: keys, links and timers around the state machine of `sdk-relay-mesh`.
//!
//! Gossip reaches the state machine only over links whose peer has proven its key ([`proof`]) under a name that belongs
//! to it ([`bindings`]). The state machine decides which relays are dialled and what is sent; [`driver`] does it, and
//! sends syncs at the configured intervals. A link is served by the task of its connection if the peer dialled, and by
//! a task of the driver if this relay did.

mod admission;
mod bindings;
mod dial;
mod driver;
mod handshakes;
mod identity;
mod inbound;
mod known;
mod link;
mod links;
mod open;
mod order;
mod own_keys;
mod problems;
mod proof;
mod reach;
mod resolve;
mod route;
mod syncing;
mod tasks;
#[cfg(test)]
mod testing;
mod timeouts;
mod verdicts;
mod views;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_mesh::{LinkId, Mesh as Core};
use sdk_relay_platform::net::Proxy;
use sdk_relay_protocol::http::ActiveSync;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use bindings::NAMES_FILE;
pub use driver::run;
pub use identity::IdentityError;
pub use inbound::Inbound;
pub use known::{Around, KnownRelay, MeshRelay};
pub use link::LinkStep;
pub use open::{MeshError, check_identity, public_key};
pub use order::Order;
pub use proof::{Listener, Proven};
pub use timeouts::Timeouts;

use crate::metrics::MeshMetrics;
use crate::sync::{Announcements, Syncs};
use bindings::Bindings;
use handshakes::Handshakes;
use known::Known;
use link::Handle;
use own_keys::OwnKeys;
use reach::Reach;
use verdicts::Verdicts;

/// The mesh of this relay.
pub struct Mesh {
    own: proof::Own,
    bindings: Arc<Bindings>,
    handshakes: Handshakes,
    core: Mutex<Core<OwnKeys>>,
    began: Instant,
    wake: Notify,
    next_link: AtomicU64,
    links: Mutex<HashMap<LinkId, Handle>>,
    known: Mutex<HashMap<String, Known>>,
    active: Mutex<HashMap<String, ActiveSync>>,
    around: RwLock<Arc<Around>>,
    orders: mpsc::Sender<Order>,
    syncs: Arc<Syncs>,
    announcements: Announcements,
    metrics: Arc<MeshMetrics>,
    /// `None`: no other machine can reach it.
    address: Option<String>,
    /// Root certificates for the links to other relays.
    trust: Option<PathBuf>,
    /// Through which all other relays are dialled.
    proxy: Option<Proxy>,
    /// Which learned addresses may be dialled and passed on to clients.
    reach: Reach,
    /// Results of resolving learned host names.
    verdicts: Verdicts,
    /// The last error of each configured relay that could not be dialled.
    failures: Mutex<HashMap<String, String>>,
    alone: bool,
    timeouts: Timeouts,
}

/// The forced syncs, for the driver.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

impl Mesh {
    /// This relay's public key in hex.
    pub fn public_key(&self) -> &str {
        self.own.identity.public_key()
    }

    /// The advertised address; `None` if no other machine can reach this relay.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether a relay of the mesh may be announced now.
    pub(super) fn may_announce(&self) -> bool {
        self.announcements.may_announce()
    }

    /// Whether a relay without a key may be announced now.
    pub fn may_announce_unproven(&self) -> bool {
        self.announcements.may_announce_unproven()
    }

    /// Gives the state machine an input, and wakes the driver for its outputs.
    fn with<T>(&self, act: impl FnOnce(&mut Core<OwnKeys>, Duration) -> T) -> T {
        let now = self.now();
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut core, now);
        drop(core);
        self.wake.notify_one();
        result
    }

    /// Reads the state machine without waking the driver.
    fn read<T>(&self, ask: impl FnOnce(&Core<OwnKeys>, Duration) -> T) -> T {
        let now = self.now();
        ask(&self.core.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
