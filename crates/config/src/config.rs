//! The configuration as the relay uses it.

mod bitcoin_core;
mod parts;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use sdk_relay_bip352::Fast;

pub(crate) use bitcoin_core::default_cookie;
pub use bitcoin_core::{BitcoinCore, Credentials};
pub use parts::{AllowPrivate, Auth, IndexConfig, MeshConfig, RetentionConfig, TlsFiles, WalletKeys};

use crate::error::ConfigError;
use crate::network::Network;
use crate::origins::Origins;
use crate::trusted_proxies::TrustedProxies;

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// This relay's name; `None`: made from the wallet's key.
    pub relay_id: Option<String>,
    /// Bitcoin network.
    pub network: Network,
    /// Everything that the relay writes is in here.
    pub data_dir: PathBuf,
    /// Where the WebSocket API listens.
    pub ws_url: SocketAddr,
    /// Where the HTTP API listens.
    pub http_url: SocketAddr,
    /// Whether `/dev/*` is open.
    pub dev_mode: bool,
    /// Whether the relay runs on the embedded chain.
    pub standalone: bool,
    /// The node.
    pub bitcoin_core: BitcoinCore,
    /// The BlindBit Oracle that the index's tweaks come from; `None`: the relay computes them.
    pub blindbit_url: Option<String>,
    /// The tweak index; `None`: the relay keeps none.
    pub index: Option<IndexConfig>,
    /// Interval of the topic `sync`.
    pub sync_interval: Duration,
    /// Interval of the topic `health`.
    pub health_interval: Duration,
    /// Interval of the topic `metrics`.
    pub metrics_interval: Duration,
    /// Other relays.
    pub mesh: MeshConfig,
    /// Keys of the relay's own wallet; `None`: made at first start.
    pub wallet: Option<WalletKeys>,
    /// Bounds of the event log.
    pub retention: RetentionConfig,
    /// WebSocket connections at most.
    pub max_connections: usize,
    /// Of one address (IPv6: of one /64); loopback is free.
    pub max_connections_per_address: usize,
    /// HTTP connections of one address (IPv6: of one /64), loopback addresses not counted.
    pub max_http_connections_per_address: usize,
    /// Bytes of WebSocket messages and request bodies that are not complete, over all clients.
    pub input_memory: usize,
    /// Watches at most.
    pub max_watches: usize,
    /// Of one connection.
    pub max_watches_per_connection: usize,
    /// Of one watch.
    pub max_labels_per_watch: usize,
    /// Requests of one address per second, on average.
    pub requests_per_second: NonZeroU32,
    /// The same for BlindBit's routes, where further requests wait.
    pub blindbit_requests_per_second: NonZeroU32,
    /// Who may change things, and who may read.
    pub auth: Auth,
    /// Origins of pages that may change things.
    pub cors_origins: Vec<String>,
    /// Names of this relay, beside addresses and `localhost`: in lower case, without a dot at the end.
    pub hosts: Vec<String>,
    /// Whether loopback peers may change things while there is no admin token. `http.trusted_proxies` switches it off.
    pub local_admin: bool,
    /// Reverse proxies that name their clients.
    pub trusted_proxies: TrustedProxies,
    /// Whence the certificate for TLS on both ports; `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// The engine that scans.
    pub scanner: Fast,
    /// How often the embedded chain mines by itself.
    pub mine_interval: Option<Duration>,
    /// Filter of the log (`tracing_subscriber::EnvFilter`).
    pub log_level: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// For errors of values that are found wrong later.
    pub(crate) origins: Origins,
}

impl Config {
    /// Where the value of a key that names a file or an address stands: the file, the variable or the flag.
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key)
    }

    /// The value of such a key cannot be used after all: `reason` says why, and what would be right.
    pub fn unusable(&self, key: &str, found: impl std::fmt::Display, reason: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            origin: self.origin(key).to_owned(),
            key: key.to_owned(),
            found: format!("{:?}", found.to_string()),
            expected: reason.into(),
        }
    }
}
