//! The configuration as the relay uses it.

mod bitcoin_core;
mod parts;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use sdk_relay_bip352::Fast;
use sdk_relay_platform::net::Proxy;

pub use bitcoin_core::{BitcoinCore, Credentials};
pub(crate) use bitcoin_core::{ZMQ_OFF, default_cookie};
pub(crate) use parts::WalletMode;
pub use parts::{
    AllowPrivate, Auth, DetachedConfig, ElectrumBackend, ElectrumConfig, IndexConfig, MeshConfig, RetentionConfig,
    TlsFiles, WalletConfig, WalletKeys, WebhookConfig, WebhookUrl,
};

use crate::error::ConfigError;
use crate::network::Network;
use crate::origins::Origins;
use crate::trusted_proxies::TrustedProxies;

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this relay; `None`: derived from the key of the wallet, or from its identity.
    pub relay_id: Option<String>,
    /// Bitcoin network.
    pub network: Network,
    /// Directory of all files that the relay writes.
    pub data_dir: PathBuf,
    /// Listen address of the WebSocket API.
    pub ws_url: SocketAddr,
    /// Listen address of the HTTP API.
    pub http_url: SocketAddr,
    /// Whether `/dev/*` is enabled.
    pub dev_mode: bool,
    /// Whether the relay runs on the embedded chain.
    pub standalone: bool,
    /// The node.
    pub bitcoin_core: BitcoinCore,
    /// The BlindBit Oracle that the tweak index is compared with.
    pub blindbit_url: Option<String>,
    /// The SOCKS proxy on the way to it.
    pub blindbit_proxy: Option<Proxy>,
    /// Listen address of BlindBit's gRPC interface; `None`: none.
    pub blindbit_grpc: Option<SocketAddr>,
    /// The tweak index; `None`: disabled.
    pub index: Option<IndexConfig>,
    /// Interval of the topic `sync`.
    pub sync_interval: Duration,
    /// Interval of the topic `health`.
    pub health_interval: Duration,
    /// Interval of the topic `metrics`.
    pub metrics_interval: Duration,
    /// Other relays.
    pub mesh: MeshConfig,
    /// The relay's own wallet.
    pub wallet: WalletConfig,
    /// Depths of `payment_confirmed` for the relay's own wallets, in increasing order.
    pub confirm_at: Vec<u32>,
    /// Bounds of the event log.
    pub retention: RetentionConfig,
    /// Largest number of WebSocket connections.
    pub max_connections: usize,
    /// Largest number of WebSocket connections of one address (IPv6: of one /64); loopback addresses are not counted.
    pub max_connections_per_address: usize,
    /// HTTP connections of one address (IPv6: of one /64), loopback addresses not counted.
    pub max_http_connections_per_address: usize,
    /// Bytes of incomplete WebSocket messages and request bodies of all clients.
    pub input_memory: usize,
    /// Largest number of watches.
    pub max_watches: usize,
    /// Largest number of watches of one connection.
    pub max_watches_per_connection: usize,
    /// Largest number of labels of one watch.
    pub max_labels_per_watch: usize,
    /// Bounds of detached watches.
    pub detached: DetachedConfig,
    /// Requests of one address per second, on average.
    pub requests_per_second: NonZeroU32,
    /// The same for the BlindBit routes, where requests beyond the limit wait.
    pub blindbit_requests_per_second: NonZeroU32,
    /// Tokens for administration and reading.
    pub auth: Auth,
    /// Origins of web pages that may use the administration endpoints.
    pub cors_origins: Vec<String>,
    /// Host names of this relay, in addition to IP addresses and `localhost`: in lower case, without a trailing dot.
    pub hosts: Vec<String>,
    /// Whether loopback peers may use the administration endpoints while there is no admin token. False if
    /// `http.trusted_proxies` is not empty.
    pub local_admin: bool,
    /// Reverse proxies whose forwarding header is used.
    pub trusted_proxies: TrustedProxies,
    /// The Electrum protocol.
    pub electrum: ElectrumConfig,
    /// The webhooks, by their names.
    pub webhooks: Vec<WebhookConfig>,
    /// Source of the TLS certificate of both ports; `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// The scan engine.
    pub scanner: Fast,
    /// Interval between automatically mined blocks of the embedded chain.
    pub mine_interval: Option<Duration>,
    /// Filter of the log (`tracing_subscriber::EnvFilter`).
    pub log_level: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// Keys that are set, and have no effect on a standalone relay.
    pub(crate) without_effect: Vec<&'static str>,
    /// Origins of the values, for errors that are found later.
    pub(crate) origins: Origins,
}

impl Config {
    /// Origin of the value of a key that names a file or an address: the file, the variable or the flag.
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key)
    }

    /// Error for a value that turns out to be unusable: `reason` says why, and what is expected.
    pub fn unusable(&self, key: &str, found: impl std::fmt::Display, reason: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            origin: self.origin(key).to_owned(),
            key: key.to_owned(),
            found: format!("{:?}", found.to_string()),
            expected: reason.into(),
        }
    }
}
