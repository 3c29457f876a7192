//! The configuration while the relay runs: what `PUT /config` may change, what takes effect at once, and what waits for
//! a restart.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use sdk_relay_config::{Change, Config, ConfigError, Effect, Loader, Setting, TABLE, WrongKey};
use sdk_relay_protocol::http::FieldError;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, watch};

use crate::preflight::{self, PreflightError};

/// The configuration of a running relay.
#[derive(Debug)]
pub struct Settings {
    loader: Loader,
    data_dir: PathBuf,
    started_with: Config,
    now: watch::Sender<Arc<Config>>,
    /// One change at a time: a change reads the file, and writes it.
    changing: Mutex<()>,
}

/// Result of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// A line for each changed key: `sync.interval: 30 -> 60`.
    pub changes: Vec<String>,
    /// Whether a change takes effect only after a restart.
    pub restart_required: bool,
    /// Required actions of the operator.
    pub warnings: Vec<String>,
}

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// These fields are wrong.
    #[error("{} fields cannot be changed like this", .0.len())]
    Fields(Vec<FieldError>),
    /// The changes cannot be stored.
    #[error("the changes of the configuration are not stored: {0}")]
    Unwritable(#[from] std::io::Error),
    /// The rest of the configuration has become invalid.
    #[error(transparent)]
    Config(ConfigError),
}

/// Why a restart would fail.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is not usable on this machine.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
}

impl Settings {
    /// Settings of a relay that starts with `config`.
    pub fn new(loader: Loader, config: Config) -> Self {
        let (now, _) = watch::channel(Arc::new(config.clone()));
        Self {
            loader,
            data_dir: config.data_dir.clone(),
            started_with: config,
            now,
            changing: Mutex::new(()),
        }
    }

    /// The current configuration, including changes that wait for a restart.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.now.borrow())
    }

    /// Notifies of each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.now.subscribe()
    }

    /// Whether a change takes effect only after a restart.
    pub fn restart_required(&self) -> bool {
        let now = self.now();
        changeable().any(|(_, change)| {
            change.effect == Effect::AtRestart && (change.shown)(&now) != (change.shown)(&self.started_with)
        })
    }

    /// The configuration with which this relay started.
    pub fn started_with(&self) -> &Config {
        &self.started_with
    }

    /// Keeps the configuration `wanted` pending after a failed restart, when this relay started with the previous one:
    /// changes that need no restart take effect, the rest waits for the next restart.
    pub fn keep_pending(&self, wanted: Config) {
        self.now.send_replace(Arc::new(wanted));
    }

    /// Reloads the configuration, as a restart does.
    pub fn reload(&self) -> Result<Config, ReloadError> {
        let config = self.loader.load()?;
        preflight::check(&config)?;
        Ok(config)
    }

    /// Reads `log.level` again, and returns it if it has changed. Other changes wait for a restart.
    pub async fn reload_log_level(&self) -> Result<Option<String>, ConfigError> {
        let _one_at_a_time = self.changing.lock().await;
        let level = self.loader.load()?.log_level;
        let mut config = (*self.now()).clone();
        if config.log_level == level {
            return Ok(None);
        }
        config.log_level.clone_from(&level);
        self.now.send_replace(Arc::new(config));
        Ok(Some(level))
    }

    /// Applies a JSON merge patch (RFC 7396), all or nothing. `null` reverts a change. Changes are kept across
    /// restarts.
    pub async fn change(&self, patch: &Map<String, Value>) -> Result<Changed, ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut changes = Loader::changes(&self.data_dir).map_err(ChangeError::Config)?;
        let wrong = |keys: Vec<WrongKey>| keys.iter().map(|k| field(&k.key, &k.reason)).collect();
        changes.patch(patch).map_err(|keys| ChangeError::Fields(wrong(keys)))?;
        let before = self.now();
        let refused = |error: ConfigError| match error.wrong_values() {
            Some(values) => ChangeError::Fields(values.iter().map(|(key, expected)| field(key, expected)).collect()),
            None => ChangeError::Config(error),
        };
        let after = self.loader.load_with(&changes).map_err(refused)?;
        // The next start would fail, after this relay has stopped.
        let held: Vec<SocketAddr> = [&*before, &self.started_with]
            .into_iter()
            .flat_map(preflight::listen_addresses)
            .map(|(_, address)| address)
            .collect();
        for (key, address) in preflight::listen_addresses(&after) {
            if !held.contains(&address) {
                let is_own_port = held.iter().any(|held| held.port() == address.port());
                preflight::new_address(&after, key, address, is_own_port).map_err(refused)?;
            }
        }
        if after.network != self.started_with.network {
            let why = "the event log belongs to another network: run another relay with its own data_dir";
            return Err(ChangeError::Fields(vec![field("standalone", why)]));
        }
        let lines = changeable().filter_map(|(setting, change)| {
            let (old, new) = ((change.shown)(&before), (change.shown)(&after));
            (old != new).then(|| format!("{}: {} -> {}", setting.key, plain(&old), plain(&new)))
        });
        let lines: Vec<String> = lines.collect();
        let warnings: Vec<String> = after.bitcoin_core.withheld().into_iter().collect();
        changes.write(&self.data_dir)?;
        for line in &lines {
            tracing::info!(change = line, "configuration changed");
        }
        for warning in &warnings {
            tracing::warn!(warning, "configuration changed");
        }
        self.now.send_replace(Arc::new(after));
        Ok(Changed {
            changes: lines,
            restart_required: self.restart_required(),
            warnings,
        })
    }
}

/// The settings that `PUT /config` changes.
fn changeable() -> impl Iterator<Item = (&'static Setting, &'static Change)> {
    TABLE
        .iter()
        .filter_map(|setting| Some((*setting, setting.change.as_ref()?)))
}

/// What `GET /config` shows of the settings: those that can be changed.
pub fn shown(config: &Config) -> Map<String, Value> {
    let mut all = Map::new();
    for (setting, change) in changeable() {
        let value = (change.shown)(config);
        match setting.group() {
            "" => drop(all.insert(setting.name().to_owned(), value)),
            group => {
                let table = all.entry(group).or_insert_with(|| Map::new().into());
                table[setting.name()] = value;
            }
        }
    }
    all
}

fn field(name: &str, message: &str) -> FieldError {
    FieldError {
        field: name.to_owned(),
        message: message.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(
        || value.to_string(),
        |s| if s.is_empty() { "\"\"".to_owned() } else { s.to_owned() },
    )
}

#[cfg(test)]
mod tests;
