//! The shape of the configuration file. Texts are empty where nothing is set.

use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub(super) relay_id: String,
    pub(super) network: String,
    pub(super) data_dir: String,
    pub(super) ws_url: String,
    pub(super) http_url: String,
    pub(super) dev_mode: bool,
    pub(super) standalone: bool,
    pub(super) scanner: String,
    pub(super) bitcoin_core: BitcoinCoreFile,
    pub(super) blindbit: BlindbitFile,
    pub(super) index: IndexFile,
    pub(super) sync: SyncFile,
    pub(super) mesh: MeshFile,
    pub(super) wallet: WalletFile,
    pub(super) retention: RetentionFile,
    pub(super) limits: LimitsFile,
    pub(super) dev: DevFile,
    pub(super) auth: AuthFile,
    pub(super) http: HttpFile,
    pub(super) tls: TlsFile,
    pub(super) log: LogFile,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BitcoinCoreFile {
    pub(super) url: String,
    pub(super) cookie_file: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) wallet: String,
    pub(super) zmq_url: String,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlindbitFile {
    pub(super) url: String,
}

/// The tweak index.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexFile {
    pub(super) enabled: bool,
    pub(super) start_height: u64,
    pub(super) scan_threads: u64,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncFile {
    pub(super) interval: u64,
    pub(super) health_interval: u64,
    pub(super) metrics_interval: u64,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeshFile {
    pub(super) peers: Vec<String>,
    pub(super) advertise: String,
    pub(super) secret: String,
    pub(super) max_links: u64,
    pub(super) allow_private: String,
    pub(super) identity: String,
    pub(super) trust: String,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WalletFile {
    pub(super) scan_private_key: String,
    pub(super) spend_public_key: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionFile {
    pub(super) events: u64,
    pub(super) megabytes: u64,
}

/// Bounds that protect the relay; all may be changed.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    pub(super) connections: u64,
    pub(super) connections_per_address: u64,
    pub(super) http_connections_per_address: u64,
    pub(super) input_memory: u64,
    pub(super) watches: u64,
    pub(super) watches_per_connection: u64,
    pub(super) labels_per_watch: u64,
    pub(super) requests_per_second: u64,
    pub(super) blindbit_requests_per_second: u64,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthFile {
    pub(super) admin_token: String,
    pub(super) read_token: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpFile {
    pub(super) cors_origins: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) local_admin: bool,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) forwarding_header: String,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub(super) cert: String,
    pub(super) key: String,
    pub(super) self_signed: bool,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DevFile {
    pub(super) mine_interval: u64,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    pub(super) level: String,
    pub(super) format: String,
}

impl Default for File {
    fn default() -> Self {
        Self {
            relay_id: String::new(),
            network: "mainnet".to_owned(),
            data_dir: String::new(),
            ws_url: "0.0.0.0:8090".to_owned(),
            http_url: "0.0.0.0:8091".to_owned(),
            dev_mode: false,
            standalone: false,
            scanner: "auto".to_owned(),
            bitcoin_core: BitcoinCoreFile::default(),
            blindbit: BlindbitFile::default(),
            index: IndexFile {
                enabled: true,
                start_height: 0,
                scan_threads: 0,
            },
            sync: SyncFile {
                interval: 30,
                health_interval: 60,
                metrics_interval: 120,
            },
            mesh: MeshFile {
                peers: Vec::new(),
                advertise: String::new(),
                secret: String::new(),
                max_links: 8,
                allow_private: "auto".to_owned(),
                identity: String::new(),
                trust: String::new(),
            },
            wallet: WalletFile::default(),
            retention: RetentionFile {
                events: 100_000,
                megabytes: 256,
            },
            limits: LimitsFile {
                connections: 10_000,
                connections_per_address: 64,
                // spdk asks 600 at once, and opens a connection for each.
                http_connections_per_address: 640,
                input_memory: 64,
                watches: 10_000,
                watches_per_connection: 100,
                labels_per_watch: 100,
                requests_per_second: 100,
                blindbit_requests_per_second: 1000,
            },
            dev: DevFile::default(),
            auth: AuthFile::default(),
            http: HttpFile {
                cors_origins: Vec::new(),
                hosts: Vec::new(),
                local_admin: true,
                trusted_proxies: Vec::new(),
                forwarding_header: "auto".to_owned(),
            },
            tls: TlsFile::default(),
            log: LogFile {
                level: "info".to_owned(),
                format: "text".to_owned(),
            },
        }
    }
}
