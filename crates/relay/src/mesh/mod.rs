//! This relay's part of the mesh: keys, links and clocks around the state machine of `sdk-relay-mesh`.
//!
//! What others say reaches the machine only over links whose other end has proven its key ([`proof`]) under a name that is its own
//! ([`bindings`]). The machine decides whom to dial and what to say; [`driver`] does it, and asks at the intervals of the configuration. A link
//! is served by the connection's task where the other dialled, by a task of the driver where this relay did.

mod address;
mod bindings;
mod dial;
mod driver;
mod identity;
mod known;
mod link;
mod proof;
mod syncing;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_mesh::{Config as CoreConfig, DialId, Keys, LinkId, Mesh as Core, Own as CoreOwn, Peer};
use sdk_relay_protocol::mesh::{Gossip, RelayId, RelayStatus};
use sdk_relay_protocol::{Handshake, RelayChallenge, RelayProof, SyncReply};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use address::{PeerAddress, is_private, url_of};
pub use bindings::Bindings;
pub use driver::run;
pub use identity::{Identity, IdentityError};
pub use known::{Around, KnownRelay, MeshRelay};
pub use link::Step;
pub use proof::{Listener, Proven};
pub(crate) use syncing::AT_MOST;
pub use syncing::Order;

use crate::SOFTWARE_VERSION;
use crate::clock::unix_now;
use crate::config::{AllowPrivate, Config};
use crate::ws::CAPABILITIES;
use known::Known;
use link::{Exchange, Handle};
use syncing::Active;

/// Forced syncs that wait for the driver. Each is asked for by a person.
const ORDERS_AHEAD: usize = 16;

/// This relay in its mesh.
pub struct Mesh {
    own: proof::Own,
    bindings: Bindings,
    core: Mutex<Core<OwnKeys>>,
    began: Instant,
    wake: Notify,
    next_link: AtomicU64,
    links: Mutex<HashMap<LinkId, Handle>>,
    known: Mutex<HashMap<String, Known>>,
    active: Mutex<HashMap<String, Active>>,
    around: RwLock<Arc<Around>>,
    orders: mpsc::Sender<Order>,
    address: String,
    /// Certificates that other relays' must come from.
    trust: Option<PathBuf>,
    /// Whether addresses that relays tell of may be private.
    allow_private: AtomicBool,
    allow_when_peer_is: bool,
    alone: bool,
}

/// The identity, as the state machine uses it.
#[derive(Debug)]
struct OwnKeys(Arc<Identity>);

impl Keys for OwnKeys {
    fn public_key(&self) -> String {
        self.0.public_key().to_owned()
    }

    fn sign(&self, message: &[u8]) -> String {
        self.0.sign(message)
    }

    fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool {
        self.0.verify(public_key, message, signature)
    }
}

/// What the driver takes with it.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

/// Why the mesh cannot be taken part in.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// There is no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The names cannot be read.
    #[error("the names of other relays in the data directory cannot be read: {0}")]
    Names(std::io::Error),
    /// The name cannot be a relay's.
    #[error("relay_id: {0}")]
    Name(#[from] sdk_relay_protocol::mesh::RelayIdError),
}

/// The end of a link at which the other has dialled: it lives as long as the connection.
pub struct Inbound {
    exchange: Exchange,
    up: Up,
}

/// A link that stands. Dropped, it is down.
pub(crate) struct Up {
    pub(crate) id: LinkId,
    pub(crate) relay_id: String,
    mesh: Arc<Mesh>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.mesh.links().remove(&self.id);
        self.mesh.with(|core, now| core.link_down(now, self.id));
    }
}

impl Inbound {
    /// The next thing to do with the socket. Cancel-safe.
    pub async fn next(&mut self) -> Step {
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
}

impl Mesh {
    /// The relay of this name, which listens on `listens_on`. [`driver`] brings it to life.
    pub fn open(
        config: &Config,
        data_dir: &Path,
        relay_id: &str,
        listens_on: &str,
    ) -> Result<(Arc<Self>, Orders), MeshError> {
        let identity = Arc::new(Identity::open(config.mesh.identity.as_deref(), data_dir)?);
        let bindings = Bindings::open(data_dir).map_err(MeshError::Names)?;
        let address = config.mesh.advertise.clone().unwrap_or_else(|| listens_on.to_owned());
        let own = CoreOwn {
            relay_id: RelayId::new(relay_id)?,
            address: address.clone(),
            incarnation: unix_now(),
            status: RelayStatus::Healthy,
            software_version: SOFTWARE_VERSION.to_owned(),
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            started: unix_now(),
        };
        let core = CoreConfig {
            interval: config.sync_interval,
            max_links: config.mesh.max_links,
            seeds: config.mesh.peers.clone(),
            ..CoreConfig::default()
        };
        let (orders, ordered) = mpsc::channel(ORDERS_AHEAD);
        let seed = identity::random();
        let mesh = Self {
            core: Mutex::new(Core::new(
                core,
                own,
                OwnKeys(Arc::clone(&identity)),
                seed,
                Duration::ZERO,
            )),
            own: proof::Own {
                identity,
                relay_id: relay_id.to_owned(),
                network: config.network.name(),
                secret: config.mesh.secret.clone(),
            },
            bindings,
            began: Instant::now(),
            wake: Notify::new(),
            next_link: AtomicU64::new(1),
            links: Mutex::default(),
            known: Mutex::default(),
            active: Mutex::default(),
            around: RwLock::default(),
            orders,
            address,
            trust: config.mesh.trust.clone(),
            allow_private: AtomicBool::new(config.mesh.allow_private == AllowPrivate::Yes),
            allow_when_peer_is: config.mesh.allow_private == AllowPrivate::Auto,
            alone: config.standalone,
        };
        Ok((Arc::new(mesh), Orders(ordered)))
    }

    /// This relay's public key in hex.
    pub fn public_key(&self) -> &str {
        self.own.identity.public_key()
    }

    /// Where this relay is reached, as it tells others.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a relay that shows no key may use this name here.
    pub fn lets_unproven(&self, relay_id: &str) -> Result<(), String> {
        if self.own.secret.is_some() {
            return Err("identity: this mesh is closed (mesh.secret): a relay proves who it is".to_owned());
        }
        if !self.bindings.is_free(relay_id) {
            return Err("relay_id: this name belongs to a key: prove that it is yours (identity)".to_owned());
        }
        Ok(())
    }

    /// A relay's handshake came: gives the challenge.
    pub fn challenge(&self, handshake: &Handshake) -> Result<(Listener, RelayChallenge), String> {
        if self.alone {
            return Err("identity: this relay runs standalone and is of no mesh".to_owned());
        }
        Listener::challenge(&self.own, handshake)
    }

    /// The proof came: gives who it is, and the mac to answer with.
    pub fn verify(&self, listener: Listener, proof: &RelayProof) -> Result<(Proven, Option<String>), String> {
        let (peer, mac) = listener.verify(proof)?;
        let bound = self.bindings.bind(&peer.relay_id, &peer.public_key);
        bound.map_err(|refused| refused.to_string())?;
        Ok((peer, mac))
    }

    /// A relay that dialled is in.
    pub fn joined(self: &Arc<Self>, peer: &Proven, latency: Duration, learned: KnownRelay) -> Inbound {
        let (up, exchange) = self.up(peer, None, latency, learned);
        Inbound { exchange, up }
    }

    fn up(
        self: &Arc<Self>,
        peer: &Proven,
        dial: Option<DialId>,
        latency: Duration,
        learned: KnownRelay,
    ) -> (Up, Exchange) {
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, exchange) = link::link(id, &peer.relay_id, dial.is_some());
        self.links().insert(id, handle);
        self.learn_relay(&peer.relay_id, learned);
        let up = Up {
            id,
            relay_id: peer.relay_id.clone(),
            mesh: Arc::clone(self),
        };
        // The name was checked with the handshake.
        if let Ok(relay_id) = RelayId::new(&peer.relay_id) {
            let peer = Peer {
                relay_id,
                public_key: peer.public_key.clone(),
                dial,
                latency,
            };
            self.with(|core, now| core.link_up(now, id, peer));
        }
        (up, exchange)
    }

    /// Gossip that came with a request over a link: gives the answer's. What is no gossip is none.
    pub fn gossip(&self, link: LinkId, payload: Option<&Map<String, Value>>) -> Option<Box<Gossip>> {
        let gossip = read_gossip(payload)?;
        Some(Box::new(self.with(|core, now| core.request(now, link, gossip))))
    }

    /// Something came over a link.
    pub fn heard(&self, link: LinkId, relay_id: &str) {
        self.seen(relay_id);
        self.with(|core, now| core.heard(now, link));
    }

    /// Names of relays that this one has a link to.
    pub fn linked(&self) -> Vec<String> {
        let mut names: Vec<String> = self.links().values().map(|h| h.relay_id.clone()).collect();
        names.sort();
        names.dedup();
        names
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

    fn links(&self) -> MutexGuard<'_, HashMap<LinkId, Handle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addition to a payload, where there is one that can be read.
fn read_gossip(payload: Option<&Map<String, Value>>) -> Option<Box<Gossip>> {
    serde_json::from_value(payload?.get("gossip")?.clone()).ok()
}
