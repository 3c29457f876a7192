//! The parts of the configuration, one for each table that has more than single values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::secp256k1::{PublicKey, SecretKey};
use sdk_relay_platform::net::Proxy;

use crate::secret::Secret;

/// The tokens of the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// Required for administration; without one, only loopback addresses may.
    pub admin_token: Option<Secret>,
    /// Required for reading; without one, reading is open.
    pub read_token: Option<Secret>,
}

/// The tweak index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// Height of its first block.
    pub start_height: u32,
    /// Threads that build and scan it.
    pub scan_threads: usize,
}

/// Other relays.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Relays to connect to, in the format of [`PeerAddress`](crate::PeerAddress).
    pub peers: Vec<String>,
    /// Advertised address of this relay; `None`: the listen address.
    pub advertise: Option<String>,
    /// The SOCKS proxy on the way to other relays.
    pub proxy: Option<Proxy>,
    /// Relays without it are rejected.
    pub secret: Option<Secret>,
    /// Largest number of links that the relay keeps.
    pub max_links: usize,
    /// Whether addresses from gossip may be private.
    pub allow_private: AllowPrivate,
    /// File with the key of this relay; `None`: in the data directory.
    pub identity: Option<PathBuf>,
    /// PEM file with the certificates trusted for `wss://` relays; `None`: those of the system.
    pub trust: Option<PathBuf>,
}

/// Whether addresses from gossip may be private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowPrivate {
    /// Private addresses are allowed.
    Yes,
    /// Private addresses are rejected.
    No,
    /// Private addresses are allowed in the networks of configured relays.
    Auto,
}

/// The Electrum protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElectrumConfig {
    /// Listen address without TLS; `None`: none.
    pub listen: Option<SocketAddr>,
    /// Listen address with TLS; `None`: none.
    pub tls_listen: Option<SocketAddr>,
    /// Whether clients on other machines may send scan keys without TLS.
    pub allow_plaintext: bool,
    /// Whether it is open although reading needs a token.
    pub open: bool,
    /// The server that answers what this relay does not know.
    pub backend: Option<ElectrumBackend>,
    /// Whether notifications of silent payments have positional parameters.
    pub positional_notifications: bool,
    /// Largest number of subscriptions to silent payments of one connection.
    pub subscriptions_per_connection: usize,
    /// Largest number of labels of a subscription, without label 0.
    pub labels_per_subscription: usize,
}

impl ElectrumConfig {
    /// The listen addresses, with their keys.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + use<> {
        let all = [
            ("electrum.listen", self.listen),
            ("electrum.tls_listen", self.tls_listen),
        ];
        all.into_iter().filter_map(|(key, address)| Some((key, address?)))
    }
}

/// Address of an Electrum server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectrumBackend {
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Its name or IP address, without brackets.
    pub host: String,
    /// `HOST:PORT`; an IPv6 address is in brackets.
    pub target: String,
}

/// A webhook: an endpoint that events are posted to.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: WebhookUrl,
    /// The types of events that it gets, of [`WEBHOOK_TYPES`](sdk_relay_protocol::http::WEBHOOK_TYPES).
    pub events: Vec<&'static str>,
    /// What its messages are signed with: at least one secret, in the form of Standard Webhooks.
    pub secrets: Vec<Secret>,
    /// The SOCKS proxy on the way to it.
    pub proxy: Option<Proxy>,
    /// The longest pause between two attempts, unless the endpoint asks for a longer one.
    pub retry_interval: Duration,
    /// It is disabled after its attempts have failed for this long; `None`: never.
    pub disable_after: Option<Duration>,
}

/// URL of an endpoint. Its path and its query may hold a secret: `Debug` and `Display` omit them.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    pub(crate) whole: String,
    /// `https://HOST:PORT`, as written.
    pub(crate) origin: String,
    /// The name or address, in brackets if it is an IPv6 address.
    pub(crate) host: String,
    pub(crate) is_https: bool,
}

impl WebhookUrl {
    /// The whole URL. Not for logs and errors.
    pub fn expose(&self) -> &str {
        &self.whole
    }
}

impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let has_more = self.whole.trim_end_matches('/') != self.origin;
        write!(f, "{}{}", self.origin, if has_more { "/…" } else { "" })
    }
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Source of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// PEM files of the operator.
    Given {
        /// The chain, the relay's own certificate first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// A self-signed certificate in the data directory, for development.
    SelfSigned,
}

/// `wallet.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalletMode {
    /// As the keys, the network and the data directory say.
    Auto,
    /// None.
    Off,
    /// The configured keys.
    WatchOnly,
    /// The keys of the file in the data directory.
    Hot,
}

/// The relay's own wallet.
#[derive(Clone, Debug)]
pub enum WalletConfig {
    /// None.
    Off,
    /// The wallet of these keys.
    WatchOnly(WalletKeys),
    /// The wallet of the key file in the data directory, which is created if it is missing.
    Hot,
    /// The same; without the file, none.
    HotIfPresent,
}

/// Keys of a watch-only wallet, from the configuration.
#[derive(Clone, Debug)]
pub struct WalletKeys {
    /// Scan private key.
    pub scan: SecretKey,
    /// Spend public key.
    pub spend: PublicKey,
}

/// Bounds of detached watches.
#[derive(Clone, Copy, Debug)]
pub struct DetachedConfig {
    /// Longest time without a connection; zero: there are no detached watches.
    pub longest: Duration,
    /// Largest number of all clients.
    pub watches: usize,
    /// Largest number of one address (IPv6: of one /64); loopback addresses count only in the total.
    pub watches_per_address: usize,
    /// Largest number of matches that one keeps.
    pub matches: usize,
    /// Bytes of the matches that all of them keep.
    pub memory: usize,
}

/// Bounds of the event log; the oldest events are removed first.
#[derive(Clone, Copy, Debug)]
pub struct RetentionConfig {
    /// Largest number of events.
    pub events: u64,
    /// Largest size of the events in bytes.
    pub bytes: u64,
}
