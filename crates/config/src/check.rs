//! What the file means: every value checked, every default worked out. One file for each group of settings.

mod bitcoin_core;
mod checker;
mod http;
mod index;
mod log;
mod mesh;
mod retention;
mod tls;
mod wallet;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bitcoin_core::{BitcoinCore, Credentials};
pub use http::Auth;
pub use index::IndexConfig;
pub use mesh::{AllowPrivate, MeshConfig};
pub use retention::RetentionConfig;
pub use tls::TlsFiles;
pub use wallet::WalletKeys;

use sdk_relay_bip352::{Engine, Fast};

use crate::error::ConfigError;
use crate::file::File;
use crate::network::Network;
use crate::origins::Origins;
use crate::trusted_proxies::TrustedProxies;
use checker::{Checker, MAX_INTERVAL};

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
        self.origins.get(key).unwrap_or("the settings")
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

    /// `origin` gives where a key's value stands, for errors.
    /// `operator_url` is `bitcoin_core.url` without the changes made over HTTP: the configured credentials are for that node alone.
    pub(super) fn check(
        file: &File,
        operator_url: &str,
        data_dir: &Path,
        origin: &dyn Fn(&str) -> String,
    ) -> Result<Self, ConfigError> {
        let at = Checker { origin };
        let network = Network::from_name(&file.network).ok_or_else(|| {
            at.wrong(
                "network",
                &file.network,
                "expected mainnet, testnet, testnet4, signet or regtest",
            )
        })?;
        let network = if file.standalone { Network::Regtest } else { network };
        if file.dev_mode && !network.is_for_development() {
            let why =
                format!("network is {network}: /dev/* is only available on regtest and signet, and in standalone mode");
            return Err(at.wrong("dev_mode", "true", &why));
        }
        let data_dir = if file.data_dir.is_empty() {
            data_dir.to_owned()
        } else {
            PathBuf::from(&file.data_dir)
        };
        Ok(Self {
            relay_id: relay_id(&at, &file.relay_id)?,
            network,
            data_dir,
            ws_url: at.address("ws_url", &file.ws_url)?,
            http_url: http_url(&at, file)?,
            dev_mode: file.dev_mode,
            standalone: file.standalone,
            bitcoin_core: BitcoinCore::check(&at, file, operator_url, network)?,
            blindbit_url: index::blindbit_url(&at, file)?,
            index: IndexConfig::check(&at, file, network)?,
            sync_interval: at.seconds("sync.interval", file.sync.interval)?,
            health_interval: at.seconds("sync.health_interval", file.sync.health_interval)?,
            metrics_interval: at.seconds("sync.metrics_interval", file.sync.metrics_interval)?,
            mesh: MeshConfig::check(&at, file)?,
            wallet: WalletKeys::check(&at, file)?,
            retention: RetentionConfig::check(&at, file)?,
            max_connections: at.count("limits.connections", file.limits.connections, 1)?,
            max_connections_per_address: at.count(
                "limits.connections_per_address",
                file.limits.connections_per_address,
                1,
            )?,
            max_http_connections_per_address: at.count(
                "limits.http_connections_per_address",
                file.limits.http_connections_per_address,
                1,
            )?,
            input_memory: at.megabytes("limits.input_memory", file.limits.input_memory)?,
            max_watches: at.count("limits.watches", file.limits.watches, 0)?,
            max_watches_per_connection: at.count(
                "limits.watches_per_connection",
                file.limits.watches_per_connection,
                0,
            )?,
            max_labels_per_watch: at.count("limits.labels_per_watch", file.limits.labels_per_watch, 0)?,
            requests_per_second: at.per_second("limits.requests_per_second", file.limits.requests_per_second)?,
            blindbit_requests_per_second: at.per_second(
                "limits.blindbit_requests_per_second",
                file.limits.blindbit_requests_per_second,
            )?,
            auth: Auth::check(&at, file)?,
            cors_origins: http::origins(&at, &file.http.cors_origins)?,
            hosts: http::hosts(&at, file)?,
            local_admin: file.http.local_admin && file.http.trusted_proxies.is_empty(),
            trusted_proxies: http::trusted_proxies(&at, file)?,
            tls: TlsFiles::check(&at, file)?,
            scanner: scanner(&at, file)?,
            mine_interval: mine_interval(&at, file)?,
            log_level: log::level(&at, file)?,
            log_json: log::is_json(&at, file)?,
            origins: Origins::new(origin),
        })
    }
}

/// The engine of that name, where this machine has its instructions.
fn scanner(at: &Checker<'_>, file: &File) -> Result<Fast, ConfigError> {
    if file.scanner == "auto" {
        return Ok(Fast::new());
    }
    Fast::named(&file.scanner).ok_or_else(|| {
        let here: Vec<_> = Fast::all().iter().map(Engine::name).collect();
        let expected = format!("expected auto or, on this machine, one of {}", here.join(", "));
        at.wrong("scanner", &file.scanner, &expected)
    })
}

/// The two APIs have a port each.
fn http_url(at: &Checker<'_>, file: &File) -> Result<SocketAddr, ConfigError> {
    let http = at.address("http_url", &file.http_url)?;
    let ws = at.address("ws_url", &file.ws_url)?;
    // An unspecified address takes the port on all others; that of IPv6 takes those of IPv4 too.
    let share = |ip: IpAddr, other: IpAddr| ip == other || (ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4()));
    if http.port() != 0 && http.port() == ws.port() && (share(http.ip(), ws.ip()) || share(ws.ip(), http.ip())) {
        let why = format!("expected another port than that of ws_url ({})", (at.origin)("ws_url"));
        return Err(at.wrong("http_url", &file.http_url, &why));
    }
    Ok(http)
}

fn relay_id(at: &Checker<'_>, text: &str) -> Result<Option<String>, ConfigError> {
    let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        return Err(at.wrong(
            "relay_id",
            text,
            "expected up to 64 printable ASCII characters without spaces",
        ));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn mine_interval(at: &Checker<'_>, file: &File) -> Result<Option<Duration>, ConfigError> {
    let seconds = file.dev.mine_interval;
    if seconds > 0 && !file.standalone {
        return Err(at.wrong(
            "dev.mine_interval",
            &seconds.to_string(),
            "expected 0: only the embedded chain (standalone) mines",
        ));
    }
    at.within("dev.mine_interval", seconds, 0, MAX_INTERVAL)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}
