//! The table of settings. Each setting is defined here, and only here.
//!
//! A row has the key, the kind of its value with default and bounds, the function that reads it (`read`), and where it
//! can be set; its doc comment is its documentation. Generated from the table: the keys of the file, the environment
//! variables, the help of the flags, the answer of `GET /config`, the keys that `PUT /config` accepts and their schema,
//! the file that `init` writes, and `docs/configuration.md`. Rules between settings are functions in `check`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::secp256k1::{PublicKey, SecretKey};
use sdk_relay_bip352::Fast;
use sdk_relay_chain::node::ZmqAddress;
use sdk_relay_platform::net::Proxy;

use crate::config::{AllowPrivate, ElectrumBackend, WalletMode, WebhookUrl};
use crate::ip_network::IpNetwork;
use crate::network::Network;
use crate::read;
use crate::secret::Secret;
use crate::setting::Effect::{AtOnce, AtRestart};
use crate::setting::{Key, Setting, choice, flag, list, numbers, text, whole};
use crate::trusted_proxies::ForwardingHeader;

/// `IP:PORT`.
const SOCKET: &str = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$";
/// `IP:PORT`, or nothing.
const OPTIONAL_SOCKET: &str = r"^[0-9.]+:[0-9]{1,5}$|^\[[0-9a-fA-F:.]+\]:[0-9]{1,5}$|^$";
const ORACLE_PATTERN: &str = r"^https?://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9/_.-]*)?$|^grpcs?://[A-Za-z0-9.-]{1,253}:[1-9][0-9]{0,3}$|^$";
const LISTEN: &str = "an address to listen on, such as 0.0.0.0:8090 or [::]:8090";
const PROXY: &str = "the URL of a SOCKS proxy, socks5://HOST:PORT, or socks5://USER:PASSWORD@HOST:PORT";
const ORACLE: &str =
    "the URL of a BlindBit Oracle, http://HOST:PORT, https://HOST:PORT, grpc://HOST:PORT or grpcs://HOST:PORT";
const ELECTRUM_ADDRESS: &str = "an address to listen on, such as 127.0.0.1:50001 or [::]:50002, or nothing";
const BACKEND: &str = "the address of an Electrum server, tcp://HOST:PORT or ssl://HOST:PORT";
const TOKEN: &str = "16 or more printable ASCII characters without spaces, or nothing";
const PATH: &str = "a path";
/// A listen address as `GET /config` shows it: empty for none.
fn optional(address: Option<SocketAddr>) -> serde_json::Value {
    address.map(|address| address.to_string()).unwrap_or_default().into()
}

/// Longest interval: one day.
const DAY: u64 = 86_400;
/// Largest number of connections, watches and requests; enough for any machine.
const MILLION: u64 = 1_000_000;
/// Highest height that a block can have (BIP34 and the 32 bits of most formats aside, some ten thousand years from
/// now).
const MAX_HEIGHT: u64 = 500_000_000;

/// Defines a static for each row, and a table with all of them.
macro_rules! settings {
    ($(#[doc = $about:literal])+ $table:ident; $($(#[doc = $line:literal])+ $name:ident: $means:ty = $key:expr;)+) => {
        $(
            $(#[doc = $line])+
            pub(crate) static $name: Key<$means> = $key.row(&[$($line),+], |value| $name.read(value).map(drop));
        )+

        $(#[doc = $about])+
        pub static $table: &[&Setting] = &[$(&$name.setting),+];
    };
}

/// The tables of the file, with their titles. Keys without a table come before them.
pub static GROUPS: &[(&str, &str)] = &[
    ("bitcoin_core", "The Bitcoin node."),
    (
        "blindbit",
        "The BlindBit Oracle with which the tweak index is compared, and BlindBit's gRPC interface.",
    ),
    ("index", "The tweak index."),
    ("sync", "Intervals between reports, in seconds."),
    ("mesh", "Other relays."),
    ("wallet", "The relay's own silent-payment wallet."),
    ("retention", "Size of the event log, from which clients resume."),
    ("limits", "Limits that protect the relay."),
    ("auth", "Tokens of the HTTP API."),
    ("http", "Names, web pages and proxies."),
    ("electrum", "The Electrum protocol, for wallets such as Sparrow."),
    ("tls", "The certificate of all ports."),
    ("dev", "The embedded development chain."),
    ("log", "The log."),
];

settings! {
    /// All settings, in the order in which `GET /config` shows them, but those of [`WEBHOOK_TABLE`].
    TABLE;

    /// Name of this relay in the mesh. Empty: derived from the wallet's key, or without a
    /// wallet from `mesh.key`.
    RELAY_ID: Option<String> =
        text("relay_id", "", "up to 64 printable ASCII characters without spaces", read::relay_id);

    /// Bitcoin network of the node. From its first block on, a data directory belongs
    /// to one network.
    NETWORK: Network =
        choice("network", "mainnet", &["mainnet", "testnet", "testnet4", "signet", "regtest"], read::network)
            .flag_with("--network", "NETWORK");

    /// Directory of the event log, the tweak index and the keys. Empty: `~/.sdk_relay`.
    DATA_DIR: Option<PathBuf> = text("data_dir", "", PATH, read::path).flag_with("--data-dir", "DIR");

    /// Listen address of the WebSocket API, `IP:PORT`.
    WS_URL: SocketAddr = text("ws_url", "0.0.0.0:8090", LISTEN, read::address)
        .changes_text(AtRestart, |c| c.ws_url.to_string().into(), SOCKET, "0.0.0.0:8090");

    /// Listen address of the HTTP API, `IP:PORT`. Its port must differ from that of `ws_url`.
    HTTP_URL: SocketAddr = text("http_url", "0.0.0.0:8091", LISTEN, read::address)
        .changes_text(AtRestart, |c| c.http_url.to_string().into(), SOCKET, "0.0.0.0:8091");

    /// Instruction set that the scanner uses: `avx512-ifma`, `avx2`, or `portable` (plain 64-bit code). `auto`: the
    /// fastest that this machine supports.
    SCANNER: Fast = text("scanner", "auto", "auto, avx512-ifma, avx2 or portable", read::scanner);

    /// RPC address of the node, without user and password. Empty: this machine, at the port that `bitcoin.conf` in a
    /// usual data directory of the node sets, or else at the default port of the network.
    BITCOIN_CORE_URL: Option<String> =
        text("bitcoin_core.url", "", "http://HOST:PORT, the node's RPC address", read::node_url)
            .changes_text(
                AtRestart,
                |c| c.bitcoin_core.url.clone().into(),
                "^http://[^@]+$|^$",
                "http://127.0.0.1:8332",
            );

    /// File with the credentials that the node writes at each start. Empty: the relay searches the usual data
    /// directories of a node on this machine (`~/.bitcoin`, `/var/lib/bitcoind`, `/var/lib/bitcoin`,
    /// `/home/bitcoin/.bitcoin`, those of snap and flatpak). Set either this, or user and password.
    COOKIE_FILE: Option<PathBuf> = text("bitcoin_core.cookie_file", "", PATH, read::path);

    /// User of the node's RPC interface, with `bitcoin_core.password`.
    USER: Option<String> = text("bitcoin_core.user", "", "a user", read::optional);

    /// Password of that user.
    PASSWORD: Option<Secret> = text("bitcoin_core.password", "", "a password", read::password).secret();

    /// Wallet of the node that `/dev/pay` pays from. Payments to it are reported like those to the relay's own wallet.
    /// The relay creates it if it does not exist. Empty: none.
    NODE_WALLET: Option<String> = text(
        "bitcoin_core.wallet",
        "",
        "the name of a wallet: at most 255 bytes, without slashes, \"..\" or control characters",
        read::node_wallet,
    )
    .changes(AtRestart, |c| c.bitcoin_core.wallet.clone().unwrap_or_default().into());

    /// ZMQ address at which the node publishes `sequence`, `rawtx` and `hashblock`. Empty: the address that the node
    /// reports (`getzmqnotifications`); set another one only if the relay cannot reach that. If the node publishes
    /// nothing, the relay polls it once a second and `/health` is `degraded`; with `off` it polls without that. In the
    /// node's `bitcoin.conf`:
    ///
    /// ```text
    /// zmqpubsequence=tcp://127.0.0.1:29000
    /// zmqpubrawtx=tcp://127.0.0.1:29000
    /// zmqpubhashblock=tcp://127.0.0.1:29000
    /// rest=1
    /// ```
    ZMQ_URL: ZmqAddress =
        text("bitcoin_core.zmq_url", "", "tcp://HOST:PORT, off, or nothing to ask the node", read::zmq_url)
            .changes_text(
                AtRestart,
                |c| c.bitcoin_core.zmq_url().into(),
                "^tcp://.+:[0-9]{1,5}$|^off$|^$",
                "tcp://127.0.0.1:28332",
            );

    /// SOCKS proxy on the way to the node, such as Tor: `socks5://127.0.0.1:9050`. All connections to the node go
    /// through it, RPC, REST and ZMQ, and it resolves the name of the node. With a user and a password
    /// (`socks5://USER:PASSWORD@HOST:PORT`) Tor uses circuits of its own for these connections. An `.onion` address in
    /// `bitcoin_core.url` needs it. Empty: none.
    NODE_PROXY: Option<Proxy> = text("bitcoin_core.proxy", "", PROXY, read::proxy);

    /// URL of a BlindBit Oracle to compare the tweak index with, without a user and password: `http://HOST:PORT` or
    /// `https://HOST:PORT/PATH`, or `grpc://HOST:PORT` or `grpcs://HOST:PORT` (with TLS) for the gRPC interface of
    /// version 2. Over HTTP the relay detects the version, 1 or 2. It computes all tweaks itself in any case.
    /// `/health` and `/metrics` report if the Oracle differs, lacks blocks or is unavailable. A standalone relay has no
    /// Oracle. Empty: none.
    ORACLE_URL: Option<String> =
        text("blindbit.url", "", ORACLE, read::oracle_url).changes_text(
            AtRestart,
            |c| c.blindbit_url.clone().unwrap_or_default().into(),
            ORACLE_PATTERN,
            "https://oracle.example.com",
        );

    /// SOCKS proxy on the way to the Oracle, as in `bitcoin_core.proxy`. An `.onion` address in `blindbit.url` needs
    /// it. Empty: none.
    ORACLE_PROXY: Option<Proxy> = text("blindbit.proxy", "", PROXY, read::proxy);

    /// Listen address of the gRPC interface of a BlindBit Oracle of version 2, `IP:PORT`, for wallets that use it
    /// (BlindBit's own programs, spdk). It answers from the tweak index, in plain text (`h2c`), or with the certificate
    /// of `tls.cert`. Its port must differ from those of the other APIs. Empty: none.
    GRPC_LISTEN: Option<SocketAddr> =
        text("blindbit.grpc_listen", "", LISTEN, read::optional_address).changes_text(
            AtRestart,
            |c| optional(c.blindbit_grpc),
            OPTIONAL_SOCKET,
            "127.0.0.1:7001",
        );

    /// Whether the relay keeps the tweak index, which serves histories, BlindBit's routes and light wallets. Without it
    /// the relay only follows the tip, and needs few resources.
    INDEX_ENABLED: bool = flag("index.enabled", true);

    /// First block of the index. 0: where taproot activates (709632 on mainnet, 0 on other networks). If you lower it,
    /// the relay builds the index again. A history that is requested from below this height begins here; the relay
    /// reports the missing blocks to the client.
    START_HEIGHT: u32 = whole("index.start_height", 0, 0, MAX_HEIGHT, read::height).unit("block height");

    /// Threads that build and scan the index. 0: one less than the number of processors.
    SCAN_THREADS: usize = whole("index.scan_threads", 0, 0, 1024, read::count).unit("threads");

    /// Interval of the topic `sync`, and of the exchanges with other relays.
    SYNC_INTERVAL: Duration = whole("sync.interval", 30, 1, DAY, read::seconds).unit("seconds")
        .changes(AtOnce, |c| c.sync_interval.as_secs().into());

    /// Interval of the topic `health`.
    HEALTH_INTERVAL: Duration = whole("sync.health_interval", 60, 1, DAY, read::seconds).unit("seconds")
        .changes(AtOnce, |c| c.health_interval.as_secs().into());

    /// Interval of the topic `metrics`.
    METRICS_INTERVAL: Duration = whole("sync.metrics_interval", 120, 1, DAY, read::seconds).unit("seconds")
        .changes(AtOnce, |c| c.metrics_interval.as_secs().into());

    /// Relays to connect to, at most 64; the relay discovers further relays through them. To require that the relay
    /// there proves a public key (64 hex digits, see `GET /relays`), append it: `wss://HOST:PORT#KEY`. A standalone
    /// relay has no mesh.
    PEERS: Vec<String> = list(
        "mesh.peers",
        "ws://HOST:PORT or wss://HOST:PORT, optionally followed by #KEY (64 hex digits in lower case)",
        read::peers,
    );

    /// Address at which other relays and their clients reach this relay, `wss://relay.example.com:8090`. Empty: the
    /// listen address; none if that is 0.0.0.0 or a loopback address.
    ADVERTISE: Option<String> =
        text("mesh.advertise", "", "ws://HOST:PORT, wss://HOST:PORT or HOST:PORT", read::advertise);

    /// SOCKS proxy on the way to all other relays, as in `bitcoin_core.proxy`. It resolves their names. Without it the
    /// relay connects to no `.onion` address. Relays that connect to this one do not use it. Empty: none.
    MESH_PROXY: Option<Proxy> = text("mesh.proxy", "", PROXY, read::proxy);

    /// Secret of a closed mesh, the same at all of its relays. Relays without it are rejected. Empty: the mesh is open.
    MESH_SECRET: Option<Secret> = text("mesh.secret", "", TOKEN, read::token).secret();

    /// Links to other relays that the relay keeps. Relays beyond that are known through gossip.
    MAX_LINKS: usize = whole("mesh.max_links", 8, 1, 48, read::count).unit("links");

    /// Whether the relay dials addresses in private networks that other relays report, and passes them on to clients.
    /// `auto`: in the networks (IPv4: /16, IPv6: /48) of the relays in `mesh.peers`, but never on this machine or its
    /// link, and never the metadata service of a cloud. Exception: if all `mesh.peers` and `mesh.advertise` are on this
    /// machine, the address of `mesh.advertise` is allowed.
    ALLOW_PRIVATE: AllowPrivate = choice("mesh.allow_private", "auto", &["yes", "no", "auto"], read::allow_private);

    /// File with the key of this relay. Empty: `mesh.key` in the data directory, created at the first start.
    IDENTITY: Option<PathBuf> = text("mesh.identity", "", PATH, read::path);

    /// PEM file with the only certificates to trust for `wss://` relays. Empty: the certificates that the system
    /// trusts.
    TRUST: Option<PathBuf> = text("mesh.trust", "", PATH, read::path);

    /// The relay's own silent-payment wallet. `off`: none. `watch-only`: the one of the two keys below; the relay
    /// cannot spend from it. `hot`: the one whose private keys are in `wallet.key` in the data directory; they are
    /// created if the file is missing. `auto`: `watch-only` if the two keys are set; else `hot`, but on mainnet only if
    /// `wallet.key` exists, and `off` if it does not.
    WALLET_MODE: WalletMode =
        choice("wallet.mode", "auto", &["auto", "off", "watch-only", "hot"], read::wallet_mode);

    /// Scan private key of a watch-only wallet, 32 bytes in hex. Set both keys or none.
    SCAN_KEY: Option<SecretKey> =
        text("wallet.scan_private_key", "", "a private key of 32 bytes in hex", read::scan_key).secret();

    /// Spend public key of a watch-only wallet, 33 bytes in hex.
    SPEND_KEY: Option<PublicKey> =
        text("wallet.spend_public_key", "", "a public key of 33 bytes in hex", read::spend_key);

    /// Depths in the chain at which `payment_confirmed` is sent for payments to the relay's own wallets: at most 10,
    /// from 1 to 2016, in increasing order, such as `[3, 6]`. `watch` has a list of its own.
    CONFIRM_AT: Vec<u32> =
        numbers("wallet.confirm_at", "at most 10 depths from 1 to 2016, in increasing order", read::depths);

    /// Events that the log keeps. The oldest are removed when this limit or the next one is exceeded.
    RETENTION_EVENTS: u64 = whole("retention.events", 100_000, 1, u64::MAX, read::number).unit("events");

    /// Size of the events that the log keeps.
    RETENTION_MEGABYTES: u64 = whole("retention.megabytes", 256, 1, 1 << 30, read::megabytes).unit("megabytes");

    /// Connections of the WebSocket API and of the Electrum protocol in total.
    CONNECTIONS: usize = whole("limits.connections", 10_000, 1, MILLION, read::count).unit("connections");

    /// The same of one client IP address (IPv6: one /64). Loopback addresses count only in the total.
    CONNECTIONS_PER_ADDRESS: usize =
        whole("limits.connections_per_address", 64, 1, MILLION, read::count).unit("connections");

    /// HTTP connections of one client IP address (IPv6: one /64). Wallets that scan open about 600. Whatever the value,
    /// one address has at most three quarters of all 1,024 connections, and so do all loopback addresses together.
    HTTP_CONNECTIONS_PER_ADDRESS: usize =
        whole("limits.http_connections_per_address", 640, 1, MILLION, read::count).unit("connections");

    /// Memory for incomplete WebSocket messages and request bodies of all clients. Beyond that the largest and oldest
    /// are dropped. Those that are not complete after 10 s are always dropped.
    INPUT_MEMORY: usize = whole("limits.input_memory", 64, 2, 1 << 20, read::memory).unit("megabytes");

    /// Watches in total.
    WATCHES: usize = whole("limits.watches", 10_000, 0, MILLION, read::count).unit("watches");

    /// Watches of one WebSocket connection.
    WATCHES_PER_CONNECTION: usize =
        whole("limits.watches_per_connection", 100, 0, MILLION, read::count).unit("watches");

    /// Labels of one watch over the WebSocket API.
    LABELS_PER_WATCH: usize = whole("limits.labels_per_watch", 100, 0, MILLION, read::count).unit("labels");

    /// Longest time for which a detached watch goes on without a connection. 0: the relay offers no detached watches.
    DETACHED_SECONDS: Duration =
        whole("limits.detached_seconds", 604_800, 0, 365 * DAY, read::seconds).unit("seconds");

    /// Detached watches in total. They count in `limits.watches` too.
    DETACHED_WATCHES: usize = whole("limits.detached_watches", 5000, 0, MILLION, read::count).unit("watches");

    /// Detached watches of one client IP address (IPv6: one /64). Loopback addresses count only in the total.
    DETACHED_WATCHES_PER_ADDRESS: usize =
        whole("limits.detached_watches_per_address", 100, 0, MILLION, read::count).unit("watches");

    /// Matches that a detached watch keeps until its client releases them. Beyond that the newest are lost, and the
    /// client is sent a `watch_gap`.
    DETACHED_MATCHES: usize = whole("limits.detached_matches", 1000, 2, MILLION, read::count).unit("matches");

    /// Memory for the matches that all detached watches keep. Beyond that the client IP address with the most loses its
    /// newest ones.
    DETACHED_MEMORY: usize = whole("limits.detached_memory", 64, 1, 1 << 20, read::memory).unit("megabytes");

    /// HTTP requests of one client IP address (IPv6: one /64), on average. Loopback addresses are not limited.
    REQUESTS_PER_SECOND: NonZeroU32 =
        whole("limits.requests_per_second", 100, 1, MILLION, read::per_second).unit("requests per second");

    /// The same limit for BlindBit's routes (`/blindbit/…`). Wallets that scan request hundreds of blocks at once, so
    /// requests beyond the limit wait for their turn. The relay answers 429 only if 1,000 requests of the address are
    /// waiting, or the wait would exceed 30 s.
    BLINDBIT_REQUESTS_PER_SECOND: NonZeroU32 =
        whole("limits.blindbit_requests_per_second", 1000, 1, MILLION, read::per_second).unit("requests per second");

    /// Token for the administration endpoints (`Authorization: Bearer TOKEN`). Empty: only requests from this machine
    /// may use them; see `http.local_admin`.
    ADMIN_TOKEN: Option<Secret> = text("auth.admin_token", "", TOKEN, read::token).secret();

    /// Token for reading. Empty: anybody may read.
    READ_TOKEN: Option<Secret> = text("auth.read_token", "", TOKEN, read::token).secret();

    /// Origins of web pages that may use the administration endpoints. Any page may read.
    CORS_ORIGINS: Vec<String> =
        list("http.cors_origins", "origins such as https://app.example.com, without a path", read::origins);

    /// DNS names by which clients reach this relay, at most 64. IP addresses, localhost and the host of
    /// `mesh.advertise` need no entry. Under other names the relay refuses WebSockets, `/dev/*` and administration
    /// without a token, because a web page can make its own name resolve to this machine.
    HOSTS: Vec<String> =
        list("http.hosts", "names such as relay.example.com, without a scheme, port or wildcard", read::hosts);

    /// Without `auth.admin_token`: whether requests from a loopback address without a forwarding header may use the
    /// administration endpoints. Set it to false if requests of others arrive from a loopback address too: behind a
    /// bare `proxy_pass`, Tor, stunnel or an ssh tunnel.
    LOCAL_ADMIN: bool = flag("http.local_admin", true);

    /// Addresses or networks of reverse proxies, at most 256. For requests from these, limits and the log use the
    /// client address in the forwarding header: the rightmost one that is not such a proxy. If the list is not empty,
    /// `http.local_admin` counts as false.
    TRUSTED_PROXIES: Vec<IpNetwork> = list(
        "http.trusted_proxies",
        "IP addresses, or networks such as 10.0.0.0/8 or 2001:db8::/32 with zero host bits",
        read::proxies,
    );

    /// Forwarding header that the proxies write. `auto`: `X-Forwarded-For`, or `Forwarded` in requests without it.
    /// Choose `forwarded` if your proxies write `Forwarded` and pass on an `X-Forwarded-For` from the client.
    FORWARDING_HEADER: ForwardingHeader =
        choice("http.forwarding_header", "auto", &["auto", "x-forwarded-for", "forwarded"], read::forwarding_header);

    /// Listen address of the Electrum protocol without TLS, `IP:PORT`; 50001 is the usual port. Empty: none.
    ELECTRUM_LISTEN: Option<SocketAddr> =
        text("electrum.listen", "", ELECTRUM_ADDRESS, read::optional_address).changes_text(
            AtRestart,
            |c| optional(c.electrum.listen),
            OPTIONAL_SOCKET,
            "127.0.0.1:50001",
        );

    /// Listen address of the Electrum protocol with TLS and the certificate of `[tls]`, `IP:PORT`; 50002 is the usual
    /// port. Empty: none.
    ELECTRUM_TLS_LISTEN: Option<SocketAddr> =
        text("electrum.tls_listen", "", ELECTRUM_ADDRESS, read::optional_address).changes_text(
            AtRestart,
            |c| optional(c.electrum.tls_listen),
            OPTIONAL_SOCKET,
            "0.0.0.0:50002",
        );

    /// Whether wallets on other machines may subscribe to silent payments at `electrum.listen`. Their scan keys then
    /// cross the network unencrypted, and whoever reads one sees all payments to its wallet.
    ELECTRUM_ALLOW_PLAINTEXT: bool = flag("electrum.allow_plaintext", false);

    /// Whether the Electrum ports are open although `auth.read_token` is set: the protocol has no tokens.
    ELECTRUM_OPEN: bool = flag("electrum.open", false);

    /// Electrum server that answers what this relay does not know: `blockchain.scripthash.*` of scripts that are no
    /// silent payments of the client, and other transactions. It sees these requests, but never a silent payment that
    /// the relay found. Empty: such requests are refused with the reason.
    ELECTRUM_BACKEND: Option<ElectrumBackend> = text("electrum.backend", "", BACKEND, read::electrum_backend);

    /// Whether notifications of silent payments have positional parameters, as some clients of the protocol's draft
    /// expect, and not named ones. Sparrow reads both.
    ELECTRUM_POSITIONAL: bool = flag("electrum.positional_notifications", false);

    /// Subscriptions to silent payments of one connection, one for each wallet. A subscription is one watch, and one
    /// more once the blocks before its start are scanned; both count in `limits.watches`.
    ELECTRUM_SUBSCRIPTIONS: usize =
        whole("electrum.subscriptions_per_connection", 1000, 0, MILLION, read::count).unit("subscriptions");

    /// Labels of one subscription to silent payments, without label 0.
    ELECTRUM_LABELS: usize =
        whole("electrum.labels_per_subscription", 1000, 0, MILLION, read::count).unit("labels");

    /// PEM file of the certificate. With `tls.key`, all ports but that of `electrum.listen` speak TLS only. The file
    /// may contain the chain, the relay's own certificate first. On SIGHUP the relay reads the files again; existing
    /// connections continue.
    CERT: Option<PathBuf> = text("tls.cert", "", PATH, read::path);

    /// PEM file of the certificate's private key.
    TLS_KEY: Option<PathBuf> = text("tls.key", "", PATH, read::path);

    /// Serve TLS on all ports but that of `electrum.listen` with a self-signed certificate (for development). The relay
    /// keeps it in the data directory.
    SELF_SIGNED: bool = flag("tls.self_signed", false).flag("--tls-self-signed");

    /// With `standalone`: time between two automatically mined blocks. 0: none.
    MINE_INTERVAL: Duration = whole("dev.mine_interval", 0, 0, DAY, read::seconds).unit("seconds");

    /// Which lines the log has: `off`, `error`, `warn`, `info`, `debug`, `trace`, or directives with levels of single
    /// crates. At `info`, libraries log warnings and errors only, unless they are named: `info,zeromq=debug`. On SIGHUP
    /// the relay reads it again.
    LOG_LEVEL: String = text(
        "log.level",
        "info",
        "off, error, warn, info, debug, trace, or directives such as info,sdk_relay=debug",
        read::level,
    )
    .flag_with("--log-level", "LEVEL")
    .changes_text(AtOnce, |c| c.log_level.clone().into(), "^.+$", "info,sdk_relay=debug");

    /// How a log line looks: plain text, or a JSON object. A change needs a new process: `POST /restart` does not apply
    /// it.
    LOG_JSON: bool = choice("log.format", "text", &["text", "json"], read::is_json);

    /// Enables `POST /dev/mine` and `POST /dev/pay`, on regtest and signet only. With `standalone` the default is true.
    DEV_MODE: bool = flag("dev_mode", false).changes(AtOnce, |c| c.dev_mode.into());

    /// Run on an embedded development chain, without a node. The network is then regtest.
    STANDALONE: bool = flag("standalone", false).flag("--standalone").changes(AtRestart, |c| c.standalone.into());
}

/// The title of [`WEBHOOK_TABLE`].
pub(crate) const WEBHOOK_ABOUT: &str = "An endpoint that events are posted to, one table for each; NAME is its name.";

settings! {
    /// The settings of each webhook, `webhooks.NAME.KEY`. Each webhook has a table of its own, with a name that the
    /// operator chooses, instead of `NAME`.
    WEBHOOK_TABLE;

    /// URL that the events are posted to, without a user and password: `https://HOST/PATH`. `http://` is for this
    /// machine and for onion services; see `allow_plaintext`. A redirect is not followed.
    WEBHOOK_URL: Option<WebhookUrl> =
        text("webhooks.NAME.url", "", "the URL of an endpoint, https://HOST/PATH", read::webhook_url);

    /// Types of events to post, such as `payment.detected`, or `payment.*`, `block.*` and `relay.*` for all of a kind.
    /// Empty: `payment.*`, which are the payments to the relay's own wallets.
    WEBHOOK_EVENTS: Vec<&'static str> =
        list("webhooks.NAME.events", "types of events, such as payment.detected or payment.*", read::webhook_events);

    /// Secret that the messages are signed with, as the endpoint knows it: `whsec_` and 24 to 64 bytes in base64, or
    /// `whsk_` and a private key of ed25519 in base64, whose public key `GET /webhooks` shows. While you replace one,
    /// set both, with a space in between: messages then have a signature of each. At most 4.
    WEBHOOK_SECRET: Vec<Secret> = text(
        "webhooks.NAME.secret",
        "",
        "whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes; several with a space in between",
        read::webhook_secrets,
    )
    .secret();

    /// SOCKS proxy on the way to the endpoint, as in `bitcoin_core.proxy`. An `.onion` address in `url` needs it.
    /// Empty: none.
    WEBHOOK_PROXY: Option<Proxy> = text("webhooks.NAME.proxy", "", PROXY, read::proxy);

    /// Whether `url` may begin with `http://` for another machine. Everybody on the way can read the events then, but
    /// not change them: the endpoint checks the signature.
    WEBHOOK_PLAINTEXT: bool = flag("webhooks.NAME.allow_plaintext", false);

    /// Longest pause between two attempts to post a message. The first pauses are shorter: 5 s, then each is four times
    /// the one before. The endpoint may ask for a longer one, up to a day, with `Retry-After`.
    WEBHOOK_RETRY: Duration = whole("webhooks.NAME.retry_interval", 3600, 1, DAY, read::seconds).unit("seconds");

    /// Disable the webhook once every attempt has failed for this long, since the relay started. 0: never; the relay
    /// tries on, and reports it in `/health`. An endpoint that answers with 410 is disabled in any case.
    WEBHOOK_DISABLE: Option<Duration> =
        whole("webhooks.NAME.disable_after", 0, 0, 8760, read::webhook_disable_after).unit("hours");
}

#[cfg(test)]
mod tests;
