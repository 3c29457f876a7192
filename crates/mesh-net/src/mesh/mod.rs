//! This relay's part of the mesh: keys, links and clocks around the state machine of `sdk-relay-mesh`.
//!
//! What others say reaches the machine only over links whose other end has proven its key ([`proof`]) under a name that is its own
//! ([`bindings`]). The machine decides whom to dial and what to say; [`driver`] does it, and asks at the intervals of the configuration. A link
//! is served by the connection's task where the other dialled, by a task of the driver where this relay did.

mod address;
mod bindings;
mod dial;
mod driver;
mod handshakes;
mod identity;
mod known;
mod link;
mod order;
mod proof;
mod reach;
mod resolve;
mod syncing;
mod tasks;
mod verdicts;
mod views;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use sdk_relay_mesh::{Config as CoreConfig, DialId, Keys, LinkId, Mesh as Core, Own as CoreOwn, Peer};
use sdk_relay_protocol::http::ActiveSync;
use sdk_relay_protocol::mesh::{Gossip, RelayId, RelayStatus};
use sdk_relay_protocol::{Handshake, RelayChallenge, RelayProof, SyncReply};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub use driver::run;
pub use identity::IdentityError;
pub use known::{Around, KnownRelay, MeshRelay};
pub use link::LinkStep;
pub use order::Order;
pub use proof::{Listener, Proven};
pub use syncing::LONGEST_SYNC;

use crate::sync::{Announcements, Asker, Syncs};
use address::is_own_machine;
use bindings::{Bindings, NameRefused, Origin};
use handshakes::Handshakes;
use identity::Identity;
use known::Known;
use link::{Exchange, Handle};
use reach::Reach;
use sdk_relay_config::{Config, PeerAddress, url_of};
use sdk_relay_telemetry::clock::unix_now;
use sdk_relay_telemetry::{Counters, SOFTWARE_VERSION};
use sdk_relay_transport::network_of;
use verdicts::Verdicts;

/// Forced syncs that wait for the driver. Each is asked for by a person.
const ORDERS_AHEAD: usize = 16;

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

/// The identity and the bound names, as the state machine uses them.
#[derive(Debug)]
struct OwnKeys(Arc<Identity>, Arc<Bindings>);

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

    fn bound_key(&self, relay_id: &RelayId) -> Option<String> {
        self.1.key_of(relay_id.as_str())
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
    #[error("cannot read mesh.names in the data directory: {0}")]
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
    pub(crate) peer: Arc<Asker>,
    mesh: Arc<Mesh>,
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

impl Mesh {
    /// The relay that makes these syncs, which listens on `listens_on` and offers `capabilities`. [`driver`] brings it to life.
    pub fn open(
        config: &Config,
        data_dir: &Path,
        listens_on: &str,
        capabilities: &[&str],
        syncs: Arc<Syncs>,
    ) -> Result<(Arc<Self>, Orders), MeshError> {
        let relay_id = syncs.relay_id();
        let identity = Arc::new(Identity::open(config.mesh.identity.as_deref(), data_dir)?);
        let peers = config.mesh.peers.iter().filter_map(|peer| PeerAddress::parse(peer));
        let pinned: BTreeSet<String> = peers.filter_map(|peer| peer.key).collect();
        let bindings = Arc::new(Bindings::open(data_dir, pinned).map_err(MeshError::Names)?);
        let listens_on = Some(listens_on.to_owned()).filter(|url| !is_own_machine(url));
        let address = config.mesh.advertise.clone().or(listens_on);
        if address.is_none() && !config.standalone {
            let (message, ws_url) = (
                "this relay does not advertise an address, because other machines cannot use its listen address: set mesh.advertise so that relays and their clients can connect to it",
                &config.ws_url,
            );
            // Without peers, and where only this machine can connect, there is no mesh that would need it.
            if config.mesh.peers.is_empty() && config.ws_url.ip().is_loopback() {
                tracing::info!(%ws_url, "{message}");
            } else {
                tracing::warn!(%ws_url, "{message}");
            }
        }
        let own = CoreOwn {
            relay_id: RelayId::new(relay_id)?,
            // Relays do not dial one without an address.
            address: address.clone().unwrap_or_default(),
            incarnation: unix_now(),
            status: RelayStatus::Healthy,
            software_version: SOFTWARE_VERSION.to_owned(),
            capabilities: capabilities.iter().copied().map(str::to_owned).collect(),
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
                OwnKeys(Arc::clone(&identity), Arc::clone(&bindings)),
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
            handshakes: Handshakes::default(),
            began: Instant::now(),
            wake: Notify::new(),
            next_link: AtomicU64::new(1),
            links: Mutex::default(),
            known: Mutex::default(),
            active: Mutex::default(),
            around: RwLock::default(),
            orders,
            announcements: Announcements::default(),
            counters: Arc::clone(syncs.counters()),
            syncs,
            reach: Reach::new(
                config.mesh.allow_private,
                &config.mesh.peers,
                address.as_deref().and_then(url_of).as_deref(),
            ),
            verdicts: Verdicts::default(),
            failures: Mutex::default(),
            address,
            trust: config.mesh.trust.clone(),
            alone: config.standalone,
        };
        Ok((Arc::new(mesh), Orders(ordered)))
    }

    /// This relay's public key in hex.
    pub fn public_key(&self) -> &str {
        self.own.identity.public_key()
    }

    /// Where this relay is reached, as it tells others; `None` where no other machine can reach it.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether a relay that shows no key may use this name here.
    pub fn lets_unproven(&self, relay_id: &str) -> Result<(), String> {
        if self.own.secret.is_some() {
            return Err("identity: required, because this mesh is closed (mesh.secret)".to_owned());
        }
        let known = self.look(|core, now| core.relay(now, relay_id).is_some() || core.proven_key(relay_id).is_some());
        if known || self.bindings.key_of(relay_id).is_some() {
            return Err("relay_id: this name is bound to a key: prove your identity (identity)".to_owned());
        }
        Ok(())
    }

    /// A relay's handshake came from this address: gives the challenge.
    pub fn challenge(&self, handshake: &Handshake, from: IpAddr) -> Result<(Listener, RelayChallenge), String> {
        if self.alone {
            return Err("identity: this relay runs standalone, without a mesh".to_owned());
        }
        if !self.handshakes.may_begin(from) {
            return Err("identity: too many proofs from this address: try again in a minute".to_owned());
        }
        Listener::challenge(&self.own, handshake)
    }

    /// The proof came: gives who it is, and the mac to answer with.
    pub fn verify(&self, listener: Listener, proof: &RelayProof) -> Result<(Proven, Option<String>), String> {
        let (peer, mac) = listener.verify(proof)?;
        self.admit(&peer).map_err(|refused| refused.to_string())?;
        Ok((peer, mac))
    }

    /// Whether a relay that has proven its key may have its name: it is bound to that key, or nobody else who is here has proven it.
    fn admit(&self, peer: &Proven) -> Result<(), NameRefused> {
        self.bindings.admit(&peer.relay_id, &peer.public_key)?;
        let bound = self.bindings.key_of(&peer.relay_id).is_some();
        let taken = self.look(|core, _| {
            let key = core.proven_key(&peer.relay_id);
            key.is_some_and(|key| key != peer.public_key)
        });
        if taken && !bound {
            Err(NameRefused::Taken)
        } else {
            Ok(())
        }
    }

    /// A relay that dialled from this address is in.
    pub fn joined(self: &Arc<Self>, peer: &Proven, from: IpAddr, latency: Duration, learned: KnownRelay) -> Inbound {
        let (up, exchange) = self.up(peer, None, Origin::Network(network_of(from)), latency, learned);
        Inbound { exchange, up }
    }

    fn up(
        self: &Arc<Self>,
        peer: &Proven,
        dial: Option<DialId>,
        origin: Origin,
        latency: Duration,
        learned: KnownRelay,
    ) -> (Up, Exchange) {
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, exchange) = link::link(id, peer, dial.is_some(), origin);
        let up = Up {
            id,
            relay_id: peer.relay_id.clone(),
            peer: Arc::clone(&handle.peer),
            mesh: Arc::clone(self),
        };
        // Before the state machine knows of it: what that says of the link finds it.
        self.links().insert(id, handle);
        // The name was checked with the handshake.
        if let Ok(relay_id) = RelayId::new(&peer.relay_id) {
            let peer = Peer {
                relay_id,
                public_key: peer.public_key.clone(),
                dial,
                latency,
            };
            let taken = self.with(|core, now| {
                core.link_up(now, id, peer);
                core.is_up(id)
            });
            if taken {
                self.learn_relay(&up.relay_id, learned);
            }
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
        let up = self.with(|core, now| {
            core.heard(now, link);
            core.is_up(link)
        });
        if up {
            self.seen(relay_id);
        }
    }

    /// Names of relays that this one has a link to.
    pub fn linked(&self) -> Vec<String> {
        let mut names: Vec<String> = self.links().values().map(|h| h.relay_id.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Configured relays that cannot be reached: a sentence for each.
    pub fn problems(&self) -> Vec<String> {
        let unreached: Vec<String> = self.look(|core, _| core.unreached_seeds().map(without_key).collect());
        let failures = self.failures();
        let why = unreached
            .into_iter()
            .filter_map(|peer| Some((failures.get(&peer)?, peer)));
        // A list that is the same at all relays names this one too.
        let others = why.filter(|(why, _)| !why.contains(proof::ITSELF));
        others
            .map(|(why, peer)| format!("mesh.peers: no link to {peer} ({why}); retrying"))
            .collect()
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn links(&self) -> MutexGuard<'_, HashMap<LinkId, Handle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the relay's own key can be read, or made.
pub fn check_identity(config: &Config) -> Result<(), IdentityError> {
    Identity::check(config.mesh.identity.as_deref(), &config.data_dir)
}

/// An address of `mesh.peers` without the key behind it.
fn without_key(address: &str) -> String {
    address.split('#').next().unwrap_or_default().to_owned()
}

/// The addition to a payload, where there is one that can be read.
fn read_gossip(payload: Option<&Map<String, Value>>) -> Option<Box<Gossip>> {
    serde_json::from_value(payload?.get("gossip")?.clone()).ok()
}
