//! What the file means: every value checked, every default worked out.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bitcoin::secp256k1::{PublicKey, SecretKey};
use hyper::Uri;
use sdk_relay_chain::rpc::{Auth as RpcAuth, RpcClient};
use sdk_relay_store::Retention;

use crate::blindbit_url::check_url;
use crate::data_dir::home;
use crate::error::{ConfigError, is_secret};
use crate::file::File;
use crate::host_name::normal_name;
use crate::ip_network::WrongIpNetwork;
use crate::network::Network;
use crate::peer_address::{PeerAddress, url_of};
use crate::secret::Secret;
use crate::trusted_proxies::{ForwardingHeader, TrustedProxies};

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
    pub retention: Retention,
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
    /// How often the embedded chain mines by itself.
    pub mine_interval: Option<Duration>,
    /// Filter of the log (`tracing_subscriber::EnvFilter`).
    pub log_level: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
}

/// The node.
#[derive(Clone, Debug)]
pub struct BitcoinCore {
    /// `http://HOST:PORT`.
    pub url: String,
    /// How the relay proves who it is.
    pub credentials: Credentials,
    /// The node's wallet, where one is wanted.
    pub wallet: Option<String>,
    /// `tcp://HOST:PORT`; `None`: poll.
    pub zmq_url: Option<String>,
}

/// The tweak index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// Where it begins.
    pub start_height: u32,
    /// Threads that build and scan it.
    pub scan_threads: usize,
}

/// Other relays.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Relays to link to, as [`PeerAddress`] reads them.
    pub peers: Vec<String>,
    /// Where others reach this relay; `None`: where it listens.
    pub advertise: Option<String>,
    /// Who does not know it does not get in.
    pub secret: Option<Secret>,
    /// Links that are kept.
    pub max_links: usize,
    /// Whether addresses that relays tell of may be private.
    pub allow_private: AllowPrivate,
    /// The file of this relay's own key; `None`: in the data directory.
    pub identity: Option<PathBuf>,
    /// Certificates that `wss://` relays must come from, as PEM; `None`: those that the system trusts.
    pub trust: Option<PathBuf>,
}

/// Whether addresses that relays tell of may be private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowPrivate {
    /// They may.
    Yes,
    /// They may not.
    No,
    /// Those in the networks of configured relays.
    Auto,
}

/// The tokens of the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// Needed to change things; without one, loopback alone may.
    pub admin_token: Option<Secret>,
    /// Needed to read; without one, anybody may.
    pub read_token: Option<Secret>,
}

/// Whence the certificate comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// From the operator, as PEM files.
    Given {
        /// The chain, the relay's own certificate first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// From the relay itself, in the data directory: for development.
    SelfSigned,
}

/// How the relay proves to the node who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The file that the node writes at each start.
    CookieFile(PathBuf),
    /// `rpcuser`, `rpcpassword` or `rpcauth`.
    UserPassword(String, Secret),
    /// None are sent: they were configured for another address than the one that `PUT /config` has set.
    Withheld {
        /// The address that they were configured for.
        configured_for: String,
    },
}

impl BitcoinCore {
    /// Says that the credentials are withheld, where they are.
    pub fn withheld(&self) -> Option<String> {
        let Credentials::Withheld { configured_for } = &self.credentials else {
            return None;
        };
        Some(format!(
            "bitcoin_core.url was changed over HTTP to {}: the configured credentials belong to {configured_for} and are not sent there; to use them, or others, set bitcoin_core.url to the new address in the configuration file or the environment, beside cookie_file or user and password",
            self.url
        ))
    }
}

/// Keys of the relay's own wallet, from the configuration.
#[derive(Clone, Debug)]
pub struct WalletKeys {
    /// Finds payments.
    pub scan: SecretKey,
    /// Whose they are.
    pub spend: PublicKey,
}

/// Interval of a topic at most: a day.
const MAX_INTERVAL: u64 = 86_400;
/// Highest height that a block can have (BIP34 and the 32 bits of most formats aside, some ten thousand years from now).
const MAX_HEIGHT: u64 = 500_000_000;
/// More threads than any machine has cores only wait for each other.
const MAX_SCAN_THREADS: u64 = 1024;
/// Most configured relays: the mesh finds the others.
const MAX_PEERS: usize = 64;
/// Most links: the mesh keeps a bit for each.
const MAX_LINKS: u64 = 48;
/// Most names of this relay: each request's host is compared with all of them.
const MAX_HOSTS: usize = 64;
/// Longest DNS name (RFC 1035).
const MAX_NAME: usize = 253;
/// Most networks of trusted proxies; large content networks have about twenty.
const MAX_PROXIES: usize = 256;
/// Longest name of the node's wallet: it becomes a directory's name.
const MAX_WALLET_NAME: usize = 255;
/// Shortest token: shorter ones are guessed.
const MIN_TOKEN: usize = 16;

impl Config {
    /// `origin` tells where a key's value stands, for errors.
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
            let why = format!("network is {network}: /dev/* exists on regtest, signet and standalone only");
            return Err(at.wrong("dev_mode", "true", &why));
        }
        let data_dir = if file.data_dir.is_empty() {
            data_dir.to_owned()
        } else {
            PathBuf::from(&file.data_dir)
        };
        Ok(Self {
            relay_id: at.relay_id(&file.relay_id)?,
            network,
            data_dir,
            ws_url: at.address("ws_url", &file.ws_url)?,
            http_url: at.address("http_url", &file.http_url)?,
            dev_mode: file.dev_mode,
            standalone: file.standalone,
            bitcoin_core: at.bitcoin_core(file, operator_url, network)?,
            blindbit_url: at.blindbit_url(file)?,
            index: at.index(file, network)?,
            sync_interval: at.seconds("sync.interval", file.sync.interval)?,
            health_interval: at.seconds("sync.health_interval", file.sync.health_interval)?,
            metrics_interval: at.seconds("sync.metrics_interval", file.sync.metrics_interval)?,
            mesh: at.mesh(file)?,
            wallet: at.wallet(file)?,
            retention: Retention {
                events: at.within("retention.events", file.retention.events, 1, u64::MAX)?,
                bytes: at.within("retention.megabytes", file.retention.megabytes, 1, 1 << 30)? * 1_000_000,
            },
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
            auth: Auth {
                admin_token: at.token("auth.admin_token", &file.auth.admin_token)?,
                read_token: at.token("auth.read_token", &file.auth.read_token)?,
            },
            cors_origins: at.origins(&file.http.cors_origins)?,
            hosts: at.hosts(file)?,
            local_admin: file.http.local_admin && file.http.trusted_proxies.is_empty(),
            trusted_proxies: at.trusted_proxies(file)?,
            tls: at.tls(file)?,
            mine_interval: at.mine_interval(file)?,
            log_level: at.log_level(&file.log.level)?,
            log_json: match file.log.format.as_str() {
                "text" => false,
                "json" => true,
                other => return Err(at.wrong("log.format", other, "expected text or json")),
            },
        })
    }
}

/// The RPC address in the form in which addresses are compared.
fn node_url(text: &str, network: Network) -> String {
    match text {
        "" => format!("http://127.0.0.1:{}", network.rpc_port()),
        text => text.trim_end_matches('/').to_owned(),
    }
}

struct Checker<'a> {
    origin: &'a dyn Fn(&str) -> String,
}

impl Checker<'_> {
    fn wrong(&self, key: &str, found: &str, expected: &str) -> ConfigError {
        let found = if is_secret(key) {
            "…".to_owned()
        } else {
            format!("{found:?}")
        };
        ConfigError::Value {
            origin: (self.origin)(key),
            key: key.to_owned(),
            found,
            expected: expected.to_owned(),
        }
    }

    fn relay_id(&self, text: &str) -> Result<Option<String>, ConfigError> {
        let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(self.wrong(
                "relay_id",
                text,
                "expected up to 64 printable ASCII characters without blanks",
            ));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn address(&self, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        text.parse().map_err(|_| {
            self.wrong(
                key,
                text,
                "expected an address to listen on, such as 0.0.0.0:8090 or [::]:8090",
            )
        })
    }

    fn within(&self, key: &str, value: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let expected = if most == u64::MAX {
            format!("expected {least} or more")
        } else {
            format!("expected {least} to {most}")
        };
        Err(self.wrong(key, &value.to_string(), &expected))
    }

    fn seconds(&self, key: &str, value: u64) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.within(key, value, 1, MAX_INTERVAL)?))
    }

    fn count(&self, key: &str, value: u64, least: u64) -> Result<usize, ConfigError> {
        let value = self.within(key, value, least, 1_000_000)?;
        usize::try_from(value).map_err(|_| self.wrong(key, &value.to_string(), "too large for this machine"))
    }

    /// In bytes; no less than the largest message takes.
    fn megabytes(&self, key: &str, value: u64) -> Result<usize, ConfigError> {
        let bytes = self.within(key, value, 2, 1 << 20)? * 1_000_000;
        usize::try_from(bytes).map_err(|_| self.wrong(key, &value.to_string(), "too large for this machine"))
    }

    fn per_second(&self, key: &str, value: u64) -> Result<NonZeroU32, ConfigError> {
        let value = self.within(key, value, 1, 1_000_000)?;
        u32::try_from(value)
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or_else(|| self.wrong(key, &value.to_string(), "too large"))
    }

    fn index(&self, file: &File, network: Network) -> Result<Option<IndexConfig>, ConfigError> {
        let index = &file.index;
        let height = self.within("index.start_height", index.start_height, 0, MAX_HEIGHT)?;
        let threads = self.within("index.scan_threads", index.scan_threads, 0, MAX_SCAN_THREADS)?;
        Ok(index.enabled.then(|| IndexConfig {
            start_height: match u32::try_from(height) {
                Ok(height) if height > 0 => height,
                _ => network.taproot_height(),
            },
            scan_threads: match usize::try_from(threads) {
                Ok(threads) if threads > 0 => threads,
                // One is left for detection.
                _ => std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1)),
            },
        }))
    }

    fn blindbit_url(&self, file: &File) -> Result<Option<String>, ConfigError> {
        let url = file.blindbit.url.as_str();
        if url.is_empty() {
            return Ok(None);
        }
        let wrong = |expected: &str| {
            // A password in it is not repeated.
            let shown = if url.contains('@') { "…@…" } else { url };
            self.wrong("blindbit.url", shown, expected)
        };
        if file.standalone {
            return Err(wrong(
                "expected nothing: a standalone relay has a chain of its own, which no Oracle knows",
            ));
        }
        if !file.index.enabled {
            return Err(wrong(
                "expected nothing: the Oracle's tweaks are for the index, and index.enabled is false",
            ));
        }
        let checked = check_url(url).map_err(|error| {
            wrong(&format!(
                "expected http://HOST:PORT or https://HOST:PORT, perhaps with a path, of a BlindBit Oracle ({error})"
            ))
        })?;
        Ok(Some(checked))
    }

    fn token(&self, key: &str, text: &str) -> Result<Option<Secret>, ConfigError> {
        let fits = text.is_empty() || (text.len() >= MIN_TOKEN && text.bytes().all(|b| b.is_ascii_graphic()));
        if !fits {
            let why = format!("expected {MIN_TOKEN} or more printable ASCII characters without blanks, or nothing");
            return Err(self.wrong(key, text, &why));
        }
        Ok(Secret::some(text))
    }

    fn mesh(&self, file: &File) -> Result<MeshConfig, ConfigError> {
        let mesh = &file.mesh;
        if let Some(wrong) = mesh.peers.iter().find(|p| PeerAddress::parse(p).is_none()) {
            let why =
                "expected ws://HOST:PORT or wss://HOST:PORT, perhaps with #KEY (64 hex digits in lower case) behind it";
            return Err(self.wrong("mesh.peers", wrong, why));
        }
        if mesh.peers.len() > MAX_PEERS {
            let why = format!("expected {MAX_PEERS} at most: the others are found through them");
            return Err(self.wrong("mesh.peers", &format!("{} of them", mesh.peers.len()), &why));
        }
        if file.standalone && !mesh.peers.is_empty() {
            let why = "expected none: a standalone relay has a chain of its own, and no mesh";
            return Err(self.wrong("mesh.peers", &mesh.peers.join(","), why));
        }
        if !mesh.advertise.is_empty() && url_of(&mesh.advertise).is_none() {
            let why = "expected ws://HOST:PORT, wss://HOST:PORT or HOST:PORT";
            return Err(self.wrong("mesh.advertise", &mesh.advertise, why));
        }
        Ok(MeshConfig {
            peers: mesh.peers.clone(),
            advertise: (!mesh.advertise.is_empty()).then(|| mesh.advertise.clone()),
            secret: self.token("mesh.secret", &mesh.secret)?,
            max_links: usize::try_from(self.within("mesh.max_links", mesh.max_links, 1, MAX_LINKS)?).unwrap_or(1),
            allow_private: match mesh.allow_private.as_str() {
                "yes" => AllowPrivate::Yes,
                "no" => AllowPrivate::No,
                "auto" => AllowPrivate::Auto,
                other => return Err(self.wrong("mesh.allow_private", other, "expected yes, no or auto")),
            },
            identity: (!mesh.identity.is_empty()).then(|| PathBuf::from(&mesh.identity)),
            trust: (!mesh.trust.is_empty()).then(|| PathBuf::from(&mesh.trust)),
        })
    }

    fn origins(&self, origins: &[String]) -> Result<Vec<String>, ConfigError> {
        for origin in origins {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|h| h.is_empty() || h.contains(['/', '*', '@']) || !h.is_ascii()) {
                return Err(self.wrong(
                    "http.cors_origins",
                    origin,
                    "expected origins such as https://app.example.com, without a path",
                ));
            }
        }
        Ok(origins.to_vec())
    }

    /// With the host of `mesh.advertise`: other relays connect by it.
    fn hosts(&self, file: &File) -> Result<Vec<String>, ConfigError> {
        let mut hosts = Vec::new();
        for host in &file.http.hosts {
            let name = normal_name(host);
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
                let why = "expected names such as relay.example.com, without a scheme, port or wildcard";
                return Err(self.wrong("http.hosts", host, why));
            }
            hosts.push(name);
        }
        if hosts.len() > MAX_HOSTS {
            let why = format!("expected {MAX_HOSTS} at most");
            return Err(self.wrong("http.hosts", &format!("{} of them", hosts.len()), &why));
        }
        let advertised = url_of(&file.mesh.advertise).and_then(|url| url.parse::<Uri>().ok());
        hosts.extend(advertised.as_ref().and_then(Uri::host).map(normal_name));
        Ok(hosts)
    }

    fn trusted_proxies(&self, file: &File) -> Result<TrustedProxies, ConfigError> {
        let mut networks = Vec::new();
        for text in &file.http.trusted_proxies {
            let network = text
                .parse()
                .map_err(|error: WrongIpNetwork| self.wrong("http.trusted_proxies", text, &error.to_string()))?;
            networks.push(network);
        }
        if networks.len() > MAX_PROXIES {
            let why = format!("expected {MAX_PROXIES} at most: write them as networks");
            return Err(self.wrong("http.trusted_proxies", &format!("{} of them", networks.len()), &why));
        }
        let header = match file.http.forwarding_header.as_str() {
            "auto" => ForwardingHeader::Auto,
            "x-forwarded-for" => ForwardingHeader::XForwardedFor,
            "forwarded" => ForwardingHeader::Forwarded,
            other => {
                let why = "expected auto, x-forwarded-for or forwarded";
                return Err(self.wrong("http.forwarding_header", other, why));
            }
        };
        Ok(TrustedProxies::new(networks, header))
    }

    fn tls(&self, file: &File) -> Result<Option<TlsFiles>, ConfigError> {
        match (file.tls.cert.as_str(), file.tls.key.as_str(), file.tls.self_signed) {
            ("", "", false) => Ok(None),
            ("", "", true) => Ok(Some(TlsFiles::SelfSigned)),
            ("", _, _) => Err(self.wrong(
                "tls.cert",
                "",
                "expected the PEM file of a certificate, as there is tls.key",
            )),
            (_, "", _) => Err(self.wrong(
                "tls.key",
                "",
                "expected the PEM file of the certificate's private key, as there is tls.cert",
            )),
            (_, _, true) => Err(self.wrong(
                "tls.self_signed",
                "true",
                "expected either a certificate of its own making or tls.cert and tls.key",
            )),
            (cert, key, false) => Ok(Some(TlsFiles::Given {
                cert: PathBuf::from(cert),
                key: PathBuf::from(key),
            })),
        }
    }

    fn mine_interval(&self, file: &File) -> Result<Option<Duration>, ConfigError> {
        let seconds = file.dev.mine_interval;
        if seconds > 0 && !file.standalone {
            return Err(self.wrong(
                "dev.mine_interval",
                &seconds.to_string(),
                "only the embedded chain (standalone) mines",
            ));
        }
        self.within("dev.mine_interval", seconds, 0, MAX_INTERVAL)?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    fn log_level(&self, text: &str) -> Result<String, ConfigError> {
        tracing_subscriber::EnvFilter::from_str(text)
            .map(|_| text.to_owned())
            .map_err(|_| {
                self.wrong(
                    "log.level",
                    text,
                    "expected error, warn, info, debug, trace, or directives such as info,sdk_relay=debug",
                )
            })
    }

    fn zmq_url(&self, text: &str) -> Result<Option<String>, ConfigError> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.contains('@') {
            let why = "expected tcp://HOST:PORT without user and password: ZMQ knows none";
            return Err(self.wrong("bitcoin_core.zmq_url", "…@…", why));
        }
        let is_address = || {
            let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
            (!host.is_empty() && host.bytes().all(fits) && port.parse::<u16>().is_ok()).then_some(())
        };
        if is_address().is_none() {
            let why = "expected tcp://HOST:PORT, or nothing to poll";
            return Err(self.wrong("bitcoin_core.zmq_url", text, why));
        }
        Ok(Some(text.to_owned()))
    }

    /// A name, not a path: the node would create the wallet wherever a path leads.
    fn node_wallet(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let fits = name.len() <= MAX_WALLET_NAME
            && !name.contains("..")
            && name != "."
            && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
        if !fits {
            let why = format!(
                "expected the name of a wallet: at most {MAX_WALLET_NAME} bytes, without slashes, \"..\" and control characters"
            );
            return Err(self.wrong("bitcoin_core.wallet", name, &why));
        }
        Ok((!name.is_empty()).then(|| name.to_owned()))
    }

    fn bitcoin_core(&self, file: &File, operator_url: &str, network: Network) -> Result<BitcoinCore, ConfigError> {
        let core = &file.bitcoin_core;
        let url = node_url(&core.url, network);
        if url.contains('@') {
            let why = "expected no user or password in the address: set bitcoin_core.user and bitcoin_core.password";
            return Err(self.wrong("bitcoin_core.url", "http://…@…", why));
        }
        // Asked of who will use it: an address that is accepted here, over HTTP too, must not stop the next start.
        if RpcClient::new(&url, RpcAuth::None).is_err() {
            let why = "expected http://HOST:PORT, the node's RPC address";
            return Err(self.wrong("bitcoin_core.url", &core.url, why));
        }
        let zmq_url = self.zmq_url(&core.zmq_url)?;
        let credentials = match (core.cookie_file.as_str(), core.user.as_str(), core.password.as_str()) {
            ("", "", "") => {
                Credentials::CookieFile(home().join(".bitcoin").join(network.subdirectory()).join(".cookie"))
            }
            (file, "", "") => Credentials::CookieFile(PathBuf::from(file)),
            ("", user, password) if !user.is_empty() && !password.is_empty() => {
                Credentials::UserPassword(user.to_owned(), Secret::new(password.to_owned()))
            }
            ("", "", _) => return Err(self.wrong("bitcoin_core.user", "", "expected a user, as there is a password")),
            ("", _, _) => {
                return Err(self.wrong("bitcoin_core.password", "", "expected a password, as there is a user"));
            }
            (file, _, _) => {
                return Err(self.wrong(
                    "bitcoin_core.cookie_file",
                    file,
                    "expected either a cookie file or user and password",
                ));
            }
        };
        let wallet = self.node_wallet(&core.wallet)?;
        let configured_for = node_url(operator_url, network);
        let credentials = if url == configured_for {
            credentials
        } else {
            Credentials::Withheld { configured_for }
        };
        Ok(BitcoinCore {
            url,
            credentials,
            wallet,
            zmq_url,
        })
    }

    fn wallet(&self, file: &File) -> Result<Option<WalletKeys>, ConfigError> {
        let wallet = &file.wallet;
        if wallet.scan_private_key.is_empty() && wallet.spend_public_key.is_empty() {
            return Ok(None);
        }
        let scan = SecretKey::from_str(&wallet.scan_private_key).map_err(|_| {
            self.wrong(
                "wallet.scan_private_key",
                "",
                "expected a private key of 32 bytes in hex, beside wallet.spend_public_key",
            )
        })?;
        let spend = PublicKey::from_str(&wallet.spend_public_key).map_err(|_| {
            let why = "expected a public key of 33 bytes in hex, beside wallet.scan_private_key";
            self.wrong("wallet.spend_public_key", &wallet.spend_public_key, why)
        })?;
        Ok(Some(WalletKeys { scan, spend }))
    }
}
