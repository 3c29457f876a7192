//! This relay's part of the mesh: keys, links and clocks around the state machine of `sdk-relay-mesh`.
//!
//! What others say reaches the machine only over links whose other end has proven its key ([`proof`]) under a name that is its own
//! ([`bindings`]). The machine decides whom to dial and what to say; [`driver`] does it, and asks at the intervals of the configuration. A link
//! is served by the connection's task where the other dialled, by a task of the driver where this relay did.

mod address;
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
mod syncing;
mod tasks;
mod verdicts;
mod views;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_mesh::{LinkId, Mesh as Core};
use sdk_relay_protocol::http::ActiveSync;
use sdk_relay_telemetry::Counters;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use driver::run;
pub use identity::IdentityError;
pub use inbound::Inbound;
pub use known::{Around, KnownRelay, MeshRelay};
pub use link::LinkStep;
pub use open::{MeshError, check_identity};
pub use order::Order;
pub use proof::{Listener, Proven};
pub use syncing::LONGEST_SYNC;

use crate::sync::{Announcements, Syncs};
use bindings::Bindings;
use handshakes::Handshakes;
use known::Known;
use link::Handle;
use own_keys::OwnKeys;
use reach::Reach;
use verdicts::Verdicts;

/// This relay in its mesh.
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
    counters: Arc<Counters>,
    /// `None`: no other machine can use it.
    address: Option<String>,
    /// Certificates that other relays' must come from.
    trust: Option<PathBuf>,
    /// Which addresses that relays tell of may be dialled and passed on.
    reach: Reach,
    /// What was found of host names that relays tell of.
    verdicts: Verdicts,
    /// Why dials of configured relays failed last.
    failures: Mutex<HashMap<String, String>>,
    alone: bool,
}

/// What the driver takes with it.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

impl Mesh {
    /// This relay's public key in hex.
    pub fn public_key(&self) -> &str {
        self.own.identity.public_key()
    }

    /// Where this relay is reached, as it tells others; `None` where no other machine can reach it.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether a relay of the mesh may be announced now.
    pub(super) fn may_announce(&self) -> bool {
        self.announcements.may_announce()
    }

    /// Whether a relay that has proven no key may be announced now.
    pub fn may_announce_unproven(&self) -> bool {
        self.announcements.may_announce_unproven()
    }

    /// Does something to the state machine, and has the driver look after what follows.
    fn with<T>(&self, act: impl FnOnce(&mut Core<OwnKeys>, Duration) -> T) -> T {
        let now = self.now();
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut core, now);
        drop(core);
        self.wake.notify_one();
        result
    }

    /// Asks the state machine, without waking the driver.
    fn look<T>(&self, ask: impl FnOnce(&Core<OwnKeys>, Duration) -> T) -> T {
        let now = self.now();
        ask(&self.core.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
