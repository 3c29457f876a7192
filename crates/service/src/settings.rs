//! The configuration while the relay runs: what `PUT /config` may change, what takes effect at once, and what waits for a restart.

use std::path::PathBuf;
use std::sync::Arc;

use sdk_relay_config::{Changes, Config, ConfigError, Loader, whole};
use sdk_relay_protocol::http::FieldError;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, watch};
use toml_edit::Value as TomlValue;

use crate::preflight::{self, PreflightError};

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    AtOnce,
    AtRestart,
}

/// A key that may be changed, how its value reads in the configuration, and when it takes effect.
struct Key {
    name: &'static str,
    effect: Effect,
    shown: fn(&Config) -> Value,
}

/// All of them: what `GET /config` shows, but for what a relay is born with.
const KEYS: [Key; 11] = [
    Key {
        name: "ws_url",
        effect: Effect::AtRestart,
        shown: |c| c.ws_url.to_string().into(),
    },
    Key {
        name: "http_url",
        effect: Effect::AtRestart,
        shown: |c| c.http_url.to_string().into(),
    },
    Key {
        name: "bitcoin_core.url",
        effect: Effect::AtRestart,
        shown: |c| c.bitcoin_core.url.clone().into(),
    },
    Key {
        name: "bitcoin_core.wallet",
        effect: Effect::AtRestart,
        shown: |c| text(c.bitcoin_core.wallet.as_ref()),
    },
    Key {
        name: "bitcoin_core.zmq_url",
        effect: Effect::AtRestart,
        shown: |c| text(c.bitcoin_core.zmq_url.as_ref()),
    },
    Key {
        name: "blindbit.url",
        effect: Effect::AtRestart,
        shown: |c| text(c.blindbit_url.as_ref()),
    },
    Key {
        name: "sync.interval",
        effect: Effect::AtOnce,
        shown: |c| c.sync_interval.as_secs().into(),
    },
    Key {
        name: "sync.health_interval",
        effect: Effect::AtOnce,
        shown: |c| c.health_interval.as_secs().into(),
    },
    Key {
        name: "sync.metrics_interval",
        effect: Effect::AtOnce,
        shown: |c| c.metrics_interval.as_secs().into(),
    },
    Key {
        name: "dev_mode",
        effect: Effect::AtOnce,
        shown: |c| c.dev_mode.into(),
    },
    Key {
        name: "standalone",
        effect: Effect::AtRestart,
        shown: |c| c.standalone.into(),
    },
];

fn text(value: Option<&String>) -> Value {
    value.cloned().unwrap_or_default().into()
}

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

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// A line for each key whose value is another now: `sync.interval: 30 -> 60`.
    pub changes: Vec<String>,
    /// Whether something waits for a restart.
    pub restart_required: bool,
    /// What the operator has to do besides.
    pub warnings: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// These fields are wrong.
    #[error("{} fields cannot be changed like this", .0.len())]
    Fields(Vec<FieldError>),
    /// The changes cannot be kept.
    #[error("cannot write the changes to the data directory: {0}")]
    Unwritable(#[from] std::io::Error),
    /// The configuration beside the changes is wrong by now.
    #[error(transparent)]
    Config(ConfigError),
}

/// Why a restart would fail.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot be used on this machine.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
}

impl Settings {
    /// Of a relay that starts with `config`.
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

    /// The configuration as it is. What waits for a restart is in it already.
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.now.borrow())
    }

    /// Tells of each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.now.subscribe()
    }

    /// Whether something waits for a restart.
    pub fn restart_required(&self) -> bool {
        let now = self.now();
        KEYS.iter()
            .any(|k| k.effect == Effect::AtRestart && (k.shown)(&now) != (k.shown)(&self.started_with))
    }

    /// The configuration with which this relay started.
    pub fn started_with(&self) -> &Config {
        &self.started_with
    }

    /// A restart with `wanted` failed, and this relay started with the configuration of before: what needs no restart takes effect all the same, and
    /// the rest waits for the next restart.
    pub fn keep_pending(&self, wanted: Config) {
        self.now.send_replace(Arc::new(wanted));
    }

    /// Reads everything anew, as a restart would.
    pub fn reload(&self) -> Result<Config, ReloadError> {
        let config = self.loader.load()?;
        preflight::check(&config)?;
        Ok(config)
    }

    /// Applies a JSON merge patch (RFC 7386), all or nothing. `null` takes a change back. What is changed is kept across restarts.
    pub async fn change(&self, patch: &Map<String, Value>) -> Result<Changed, ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        let mut changes = Loader::changes(&self.data_dir).map_err(ChangeError::Config)?;
        let mut wrong = Vec::new();
        apply("", patch, &self.now(), &mut changes, &mut wrong);
        if !wrong.is_empty() {
            return Err(ChangeError::Fields(wrong));
        }
        let before = self.now();
        let refused = |error| match error {
            ConfigError::Value { key, expected, .. } => ChangeError::Fields(vec![field(&key, &expected)]),
            other => ChangeError::Config(other),
        };
        let after = self.loader.load_with(&changes).map_err(refused)?;
        // The next start would be refused, and this relay be gone by then.
        for (key, address, now) in [
            ("ws_url", after.ws_url, before.ws_url),
            ("http_url", after.http_url, before.http_url),
        ] {
            if address != now {
                preflight::address(&after, key, address).map_err(refused)?;
            }
        }
        if after.network != self.started_with.network {
            let why = "the event log belongs to another network: run another relay with its own data_dir";
            return Err(ChangeError::Fields(vec![field("standalone", why)]));
        }
        let lines = KEYS.iter().filter_map(|key| {
            let (old, new) = ((key.shown)(&before), (key.shown)(&after));
            (old != new).then(|| format!("{}: {} -> {}", key.name, plain(&old), plain(&new)))
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

/// Goes through the patch; what is wrong is collected, so that a client learns of all of it at once.
fn apply(prefix: &str, patch: &Map<String, Value>, now: &Config, changes: &mut Changes, wrong: &mut Vec<FieldError>) {
    for (name, value) in patch {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let is_table = KEYS.iter().any(|k| {
            k.name
                .strip_prefix(key.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        });
        let known = KEYS.iter().find(|k| k.name == key);
        match (known, value) {
            // "sync.interval" as one name is no key of the document: merged with `sync` it would be there twice.
            _ if name.contains('.') => {
                wrong.push(field(
                    &key,
                    "there is no such setting, or it cannot be changed; levels are objects: {\"sync\": {\"interval\": 60}}",
                ));
            }
            (Some(_), Value::Null) => changes.set(&key, None),
            // Checked here too: what a flag lies over is not looked at by the loader, and would be wrong at a start without the flag.
            (Some(known), value) => match toml_value(value, &(known.shown)(now)) {
                Ok(value) => changes.set(&key, Some(value)),
                Err(expected) => wrong.push(field(&key, expected)),
            },
            (None, Value::Object(inner)) if is_table => apply(&key, inner, now, changes, wrong),
            (None, _) if is_table => wrong.push(field(&key, "expected an object")),
            (None, _) if matches!(key.as_str(), "relay_id" | "network") => {
                wrong.push(field(
                    &key,
                    "cannot be changed: the event log and the peers of the relay depend on it",
                ));
            }
            (None, _) => wrong.push(field(&key, "there is no such setting, or it cannot be changed")),
        }
    }
}

/// The value for the file, of the same kind as the one that is `shown`; else what was expected.
fn toml_value(value: &Value, shown: &Value) -> Result<TomlValue, &'static str> {
    match (value, shown) {
        (Value::Bool(b), Value::Bool(_)) => Ok((*b).into()),
        (Value::String(s), Value::String(_)) => Ok(s.as_str().into()),
        (Value::Number(n), Value::Number(_)) => whole(n).map(TomlValue::from).ok_or("expected a whole number"),
        (_, Value::Bool(_)) => Err("expected true or false"),
        (_, Value::Number(_)) => Err("expected a number"),
        (_, _) => Err("expected a string"),
    }
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
