//! Defaults, file, environment, flags: read one over the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use crate::changes::{CHANGES_FILE, Changes};
use crate::check::Config;
use crate::data_dir::default_data_dir;
use crate::environment::{ENV_PREFIX, Environment, UnknownVariable, variable};
use crate::error::{ConfigError, is_secret};
use crate::file::File;
use crate::regular_file::{is_absent, open_regular};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "sdk_relay.toml";

/// What the command line says over file and environment.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--standalone`.
    pub standalone: bool,
    /// `--tls-self-signed`.
    pub tls_self_signed: bool,
}

/// Reads the layers, as often as asked: at the start, for `PUT /config`, and at a restart.
#[derive(Clone, Debug)]
pub struct Loader {
    overrides: Overrides,
    environment: Environment,
    /// The file was there when this was made: at a restart it has to be there still.
    had_file: bool,
}

impl Loader {
    /// Over the environment of this process.
    pub fn new(overrides: Overrides) -> Self {
        Self::with_environment(overrides, std::env::vars_os())
    }

    fn with_environment(overrides: Overrides, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut loader = Self {
            overrides,
            environment: Environment::new(environment),
            had_file: false,
        };
        // What cannot be told apart from a file that is there is an error when it is read.
        loader.had_file = !is_absent(&loader.file()).unwrap_or(false);
        loader
    }

    /// The environment variables that begin like ours and are no setting. They are ignored.
    pub fn unknown_variables(&self) -> &[UnknownVariable] {
        self.environment.unknown()
    }

    /// The file that is not there, where nothing else says anything either: no variable, no flag but those that say where it would be, no
    /// change of `PUT /config`.
    pub fn nothing_given(&self) -> Option<PathBuf> {
        let is_place = |key: &str| key == "data_dir";
        let is_silent = !self.overrides.standalone
            && !self.overrides.tls_self_signed
            && self.overrides.config.is_none()
            && self.environment.keys().all(is_place);
        let data_dir = self.data_dir();
        let files = [FILE_NAME, CHANGES_FILE].map(|name| data_dir.join(name));
        let [file, _] = &files;
        (is_silent && !files.iter().any(|path| !is_absent(path).unwrap_or(false))).then(|| file.clone())
    }

    /// Where the configuration file is, or would be.
    pub fn file(&self) -> PathBuf {
        let in_data_dir = || self.data_dir().join(FILE_NAME);
        self.overrides.config.clone().unwrap_or_else(in_data_dir)
    }

    fn data_dir(&self) -> PathBuf {
        match (&self.overrides.data_dir, self.environment.get("data_dir")) {
            (Some(flag), _) => flag.clone(),
            (None, Some(variable)) => PathBuf::from(variable),
            (None, None) => default_data_dir(),
        }
    }

    /// Reads all layers and checks them.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.read(None)
    }

    /// What the configuration would be with these changes in the place of those that are kept.
    pub fn load_with(&self, changes: &Changes) -> Result<Config, ConfigError> {
        self.read(Some(changes))
    }

    /// The changes that are kept in this data directory.
    pub fn changes(data_dir: &Path) -> Result<Changes, ConfigError> {
        let origin = data_dir.join(CHANGES_FILE).display().to_string();
        Changes::read(data_dir).map_err(|reason| ConfigError::Syntax {
            origin,
            reason: format!(
                "{}; correct the file, or delete it to take back what PUT /config has changed",
                without_quotation(&reason)
            ),
        })
    }

    fn read(&self, changes: Option<&Changes>) -> Result<Config, ConfigError> {
        if let Some(name) = self.environment.unreadable() {
            return Err(ConfigError::Syntax {
                origin: format!("environment variable {name}"),
                reason: "not UTF-8".to_owned(),
            });
        }
        let data_dir = self.data_dir();
        let mut figment = Figment::new();
        let path = self.file();
        if self.needs_file(&path)? {
            readable(&path)?;
            figment = figment.merge(Toml::file_exact(&path));
        }
        figment = self.flags(figment.merge(&self.environment));
        // The file may name another data directory; the changes lie in the one that counts.
        let named: String = with_defaults(&figment)
            .extract_inner("data_dir")
            .map_err(|e| from_figment(&figment, e))?;
        let data_dir = if named.is_empty() {
            data_dir
        } else {
            PathBuf::from(named)
        };
        let operator_url: String = with_defaults(&figment)
            .extract_inner("bitcoin_core.url")
            .map_err(|e| from_figment(&figment, e))?;
        let kept = Self::changes(&data_dir)?;
        let text = changes.unwrap_or(&kept).text();
        figment = self.flags(figment.merge(Layer {
            name: data_dir.join(CHANGES_FILE).display().to_string(),
            toml: &text,
        }));
        let figment = with_defaults(&figment);
        let file: File = figment.extract().map_err(|e| from_figment(&figment, e))?;
        Config::check(&file, &operator_url, &data_dir, &|key| origin(&figment, key))
    }

    /// Whether the file is read: it is named, or was there at the start, or is there now. Without it a relay would go on with the defaults, which open it
    /// to everybody.
    fn needs_file(&self, path: &Path) -> Result<bool, ConfigError> {
        if self.overrides.config.is_some() || self.had_file {
            return Ok(true);
        }
        is_absent(path)
            .map(|absent| !absent)
            .map_err(|e| ConfigError::Unreadable {
                path: path.to_owned(),
                reason: e.to_string(),
            })
    }

    fn flags(&self, mut figment: Figment) -> Figment {
        let mut set = |name, key, value| {
            let layers = std::mem::take(&mut figment);
            figment = layers.merge(Flag { name, key, value });
        };
        if let Some(flag) = &self.overrides.data_dir {
            set("--data-dir", "data_dir", flag.to_string_lossy().as_ref().into());
        }
        if self.overrides.standalone {
            set("--standalone", "standalone", true.into());
        }
        if self.overrides.tls_self_signed {
            set("--tls-self-signed", "tls.self_signed", true.into());
        }
        figment
    }
}

/// The defaults below the layers. Who runs standalone develops, so `dev_mode` is on there unless it is turned off.
fn with_defaults(layers: &Figment) -> Figment {
    let dev_mode = layers.extract_inner("standalone").unwrap_or(false);
    Figment::from(Serialized::defaults(File {
        dev_mode,
        ..File::default()
    }))
    .merge(layers)
}

/// A setting of the command line.
struct Flag {
    name: &'static str,
    key: &'static str,
    value: Value,
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = nest(self.key, self.value.clone()).into_dict();
        Ok(Profile::Default.collect(nested.unwrap_or_default()))
    }
}

/// A layer of TOML text with a name for errors.
struct Layer<'a> {
    name: String,
    toml: &'a str,
}

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Toml::string(self.toml).data()
    }
}

fn readable(path: &Path) -> Result<(), ConfigError> {
    open_regular(path)
        .and_then(std::io::read_to_string)
        .map(drop)
        .map_err(|e| ConfigError::Unreadable {
            path: path.to_owned(),
            reason: e.to_string(),
        })
}

/// Where a key's value comes from. What nobody has set is missing in the file, where there is one.
fn origin(figment: &Figment, key: &str) -> String {
    let is_set = |m: &&Metadata| !matches!(m.source, Some(Source::Code(_)));
    let file = || figment.metadata().find(|m| matches!(m.source, Some(Source::File(_))));
    figment
        .find_metadata(key)
        .filter(is_set)
        .or_else(file)
        .map_or_else(|| "the settings".to_owned(), |m| describe(m, key))
}

fn describe(metadata: &Metadata, key: &str) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name == ENV_PREFIX => variable(key),
        _ => metadata.name.to_string(),
    }
}

fn from_figment(figment: &Figment, error: figment::Error) -> ConfigError {
    let error = error
        .into_iter()
        .next()
        .unwrap_or_else(|| figment::Error::from("unknown".to_owned()));
    let key = error.path.join(".");
    let origin = error
        .metadata
        .as_ref()
        .map_or_else(|| origin(figment, &key), |m| describe(m, &key));
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let full = if key.is_empty() || key.ends_with(name.as_str()) {
                key
            } else {
                format!("{key}.{name}")
            };
            let key = if full.is_empty() { name.clone() } else { full };
            ConfigError::Syntax {
                origin,
                reason: format!("unknown key {key}: expected one of {}", known.join(", ")),
            }
        }
        Kind::InvalidType(found, expected) if !is_secret(&key) => ConfigError::Value {
            origin,
            key,
            found: found.to_string(),
            expected: format!("expected {expected}"),
        },
        Kind::InvalidType(_, expected) => ConfigError::Value {
            origin,
            key,
            found: "…".to_owned(),
            expected: format!("expected {expected}"),
        },
        other => ConfigError::Syntax {
            origin,
            reason: without_quotation(&other.to_string()),
        },
    }
}

/// A parser's message in one line, and without the lines of the file that it quotes: they may hold a secret.
fn without_quotation(message: &str) -> String {
    let quoted = |line: &&str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        line.trim_start().starts_with('|')
    };
    let kept: Vec<&str> = message.lines().filter(|l| !quoted(l) && !l.is_empty()).collect();
    kept.join(": ")
}

#[cfg(test)]
mod tests;
