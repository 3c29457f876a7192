//! Opens the mesh: key, names and state machine from the configuration.

use sdk_relay_config::address::is_own_machine;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use sdk_relay_config::{Config, PeerAddress, url_of};
use sdk_relay_mesh::{Config as CoreConfig, Mesh as Core, Own as CoreOwn};
use sdk_relay_protocol::mesh::{RelayId, RelayStatus};
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::bindings::Bindings;
use super::handshakes::Handshakes;
use super::identity::{self, Identity, IdentityError};
use super::own_keys::OwnKeys;
use super::reach::Reach;
use super::verdicts::Verdicts;
use super::{Mesh, Orders, Timeouts, proof};
use crate::sync::{Announcements, Syncs};

/// Capacity of the queue of forced syncs. An operator requests each of them.
const ORDERS_QUEUE: usize = 16;

/// Why the mesh cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The key cannot be read or created.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The file of names cannot be read.
    #[error("the names of the mesh: {0}")]
    Names(std::io::Error),
    /// The configured name is not valid for a relay.
    #[error("relay_id: {0}")]
    Name(#[from] sdk_relay_protocol::mesh::RelayIdError),
}

impl Mesh {
    /// Opens the mesh of a relay that listens on `listens_on` and offers `capabilities`. [`run`](super::run) drives it.
    pub fn open(
        config: &Config,
        data_dir: &Path,
        listens_on: &str,
        capabilities: &[&str],
        syncs: Arc<Syncs>,
        timeouts: Timeouts,
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
            // Without peers, no mesh needs the address yet.
            if config.mesh.peers.is_empty() {
                tracing::info!(%ws_url, "{message}");
            } else {
                tracing::warn!(%ws_url, "{message}");
            }
        }
        let own = CoreOwn {
            relay_id: RelayId::new(relay_id)?,
            // Relays without an address are not dialled.
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
        let (orders, ordered) = mpsc::channel(ORDERS_QUEUE);
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
            metrics: Arc::clone(syncs.metrics()),
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
            proxy: config.mesh.proxy.clone(),
            alone: config.standalone,
            timeouts,
        };
        Ok((Arc::new(mesh), Orders(ordered)))
    }
}

/// The X-only public key of this relay, in hex, read from the given file or from this data directory. Creates the key
/// if it is missing.
pub fn public_key(given: Option<&Path>, data_dir: &Path) -> Result<String, IdentityError> {
    Identity::open(given, data_dir).map(|identity| identity.public_key().to_owned())
}

/// Whether this relay's key can be read, or created.
pub fn check_identity(config: &Config) -> Result<(), IdentityError> {
    Identity::check(config.mesh.identity.as_deref(), &config.data_dir)
}
