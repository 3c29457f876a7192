//! Derives the configuration from the values: defaults that depend on other settings, and rules between settings. One
//! file for each group that has rules.

mod bitcoin_core;
mod electrum;
mod exposed;
mod http;
mod index;
mod mesh;
mod onion;
mod ports;
mod tls;
mod wallet;
mod webhooks;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use self::ports::share_a_port;
use crate::config::{
    Auth, BitcoinCore, Config, DetachedConfig, ElectrumConfig, IndexConfig, MeshConfig, RetentionConfig, TlsFiles,
    WalletConfig,
};
use crate::error::ConfigError;
use crate::network::Network;
use crate::read::unknown_targets;
use crate::settings as key;
use crate::trusted_proxies::TrustedProxies;
use crate::values::Values;

impl Config {
    /// Settings that are valid but probably not intended.
    pub fn warnings(&self) -> Vec<String> {
        let unknown = unknown_targets(&self.log_level);
        let origin = self.origin("log.level");
        let targets = unknown
            .iter()
            .map(|sentence| format!("{origin}: log.level: {sentence}"));
        let ignored = self.without_effect.iter().map(|key| {
            let origin = self.origin(key);
            format!("{origin}: {key} has no effect: a standalone relay has its own chain, which is on regtest")
        });
        let has_wallets = self.electrum.addresses().next().is_some() && self.index.is_none();
        let without_index = has_wallets.then(|| {
            let origin = self.origin("index.enabled");
            format!("{origin}: without the tweak index, wallets get no silent payments over the Electrum protocol: set index.enabled = true")
        });
        targets
            .chain(ignored)
            .chain(without_index)
            .chain(exposed::warnings(self))
            .collect()
    }

    /// Checks the rules between values, each of which is valid on its own. `operator_url` is `bitcoin_core.url` without
    /// the changes made over HTTP: the configured credentials are for that node only.
    pub(super) fn check(values: &Values, operator_url: &str, data_dir: &Path) -> Result<Self, ConfigError> {
        let standalone = values.get(&key::STANDALONE)?;
        let network = match values.get(&key::NETWORK)? {
            _ if standalone => Network::Regtest,
            network => network,
        };
        ConfigError::all_of(broken_rules(values, operator_url, network))?;
        let trusted_proxies =
            TrustedProxies::new(values.get(&key::TRUSTED_PROXIES)?, values.get(&key::FORWARDING_HEADER)?);
        Ok(Self {
            relay_id: values.get(&key::RELAY_ID)?,
            network,
            data_dir: values.get(&key::DATA_DIR)?.unwrap_or_else(|| data_dir.to_owned()),
            ws_url: values.get(&key::WS_URL)?,
            http_url: http_url(values)?,
            dev_mode: dev_mode(values, network)?,
            standalone,
            bitcoin_core: BitcoinCore::check(values, operator_url, network)?,
            blindbit_url: index::blindbit_url(values)?,
            blindbit_proxy: values.get(&key::ORACLE_PROXY)?,
            blindbit_grpc: index::grpc_listen(values)?,
            index: IndexConfig::check(values, network)?,
            sync_interval: values.get(&key::SYNC_INTERVAL)?,
            health_interval: values.get(&key::HEALTH_INTERVAL)?,
            metrics_interval: values.get(&key::METRICS_INTERVAL)?,
            mesh: MeshConfig::check(values)?,
            wallet: WalletConfig::check(values, network)?,
            confirm_at: values.get(&key::CONFIRM_AT)?,
            retention: RetentionConfig {
                events: values.get(&key::RETENTION_EVENTS)?,
                bytes: values.get(&key::RETENTION_MEGABYTES)?,
            },
            max_connections: values.get(&key::CONNECTIONS)?,
            max_connections_per_address: values.get(&key::CONNECTIONS_PER_ADDRESS)?,
            max_http_connections_per_address: values.get(&key::HTTP_CONNECTIONS_PER_ADDRESS)?,
            input_memory: values.get(&key::INPUT_MEMORY)?,
            max_watches: values.get(&key::WATCHES)?,
            max_watches_per_connection: values.get(&key::WATCHES_PER_CONNECTION)?,
            max_labels_per_watch: values.get(&key::LABELS_PER_WATCH)?,
            detached: DetachedConfig {
                longest: values.get(&key::DETACHED_SECONDS)?,
                watches: values.get(&key::DETACHED_WATCHES)?,
                watches_per_address: values.get(&key::DETACHED_WATCHES_PER_ADDRESS)?,
                matches: values.get(&key::DETACHED_MATCHES)?,
                memory: values.get(&key::DETACHED_MEMORY)?,
            },
            requests_per_second: values.get(&key::REQUESTS_PER_SECOND)?,
            blindbit_requests_per_second: values.get(&key::BLINDBIT_REQUESTS_PER_SECOND)?,
            auth: Auth {
                admin_token: values.get(&key::ADMIN_TOKEN)?,
                read_token: values.get(&key::READ_TOKEN)?,
            },
            cors_origins: values.get(&key::CORS_ORIGINS)?,
            hosts: http::hosts(values)?,
            local_admin: values.get(&key::LOCAL_ADMIN)? && trusted_proxies.is_empty(),
            trusted_proxies,
            electrum: ElectrumConfig::check(values)?,
            webhooks: webhooks::check(values)?,
            tls: TlsFiles::check(values)?,
            scanner: values.get(&key::SCANNER)?,
            mine_interval: mine_interval(values)?,
            log_level: values.get(&key::LOG_LEVEL)?,
            log_json: values.get(&key::LOG_JSON)?,
            without_effect: if standalone { of_a_node(values) } else { Vec::new() },
            origins: values.origins(),
        })
    }
}

/// The keys that are set and concern a node, or the network of one.
fn of_a_node(values: &Values) -> Vec<&'static str> {
    let is_regtest = values
        .get(&key::NETWORK)
        .is_ok_and(|network| network == Network::Regtest);
    let concerns = |key: &str| key.starts_with("bitcoin_core.") || (key == key::NETWORK.setting.key && !is_regtest);
    values.keys().filter(|key| concerns(key)).collect()
}

/// The errors of all rules, so that they are reported at once.
fn broken_rules(values: &Values, operator_url: &str, network: Network) -> Vec<ConfigError> {
    let rules = [
        http_url(values).err(),
        dev_mode(values, network).err(),
        BitcoinCore::check(values, operator_url, network).err(),
        index::blindbit_url(values).err(),
        index::grpc_listen(values).err(),
        MeshConfig::check(values).err(),
        WalletConfig::check(values, network).err(),
        TlsFiles::check(values).err(),
        mine_interval(values).err(),
        ElectrumConfig::check(values).err(),
        webhooks::check(values).err(),
    ];
    rules.into_iter().flatten().chain(onion::wrong(values)).collect()
}

fn dev_mode(values: &Values, network: Network) -> Result<bool, ConfigError> {
    let dev_mode = values.get(&key::DEV_MODE)?;
    if dev_mode && !network.is_for_development() {
        let why =
            format!("network is {network}: /dev/* is only available on regtest and signet, and in standalone mode");
        return Err(values.wrong(&key::DEV_MODE, why));
    }
    Ok(dev_mode)
}

/// The two APIs need different ports.
fn http_url(values: &Values) -> Result<SocketAddr, ConfigError> {
    let http = values.get(&key::HTTP_URL)?;
    let ws = values.get(&key::WS_URL)?;
    if share_a_port(http, ws) {
        let why = format!(
            "expected another port than that of ws_url ({})",
            values.origin("ws_url")
        );
        return Err(values.wrong(&key::HTTP_URL, why));
    }
    Ok(http)
}

fn mine_interval(values: &Values) -> Result<Option<Duration>, ConfigError> {
    let interval = values.get(&key::MINE_INTERVAL)?;
    if !interval.is_zero() && !values.get(&key::STANDALONE)? {
        let why = "expected 0: only the embedded chain (standalone) mines";
        return Err(values.wrong(&key::MINE_INTERVAL, why));
    }
    Ok((!interval.is_zero()).then_some(interval))
}
