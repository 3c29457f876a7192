//! Defaults, file, environment, flags: read one over the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sdk_relay_files::{is_absent, open_regular};

use crate::changes::{CHANGES_FILE, Changes};
use crate::config::Config;
use crate::data_dir::default_data_dir;
use crate::environment::{Environment, UnknownVariable};
use crate::error::ConfigError;
use crate::setting::Setting;
use crate::settings as key;
use crate::toml_layer;
use crate::value::Value;
use crate::values::Values;

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

    /// The file that is not there, where nothing else says anything either: no variable, no flag but those that say
    /// where it would be, no change of `PUT /config`.
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
        Changes::read(data_dir)
    }

    fn read(&self, changes: Option<&Changes>) -> Result<Config, ConfigError> {
        if let Some(name) = self.environment.unreadable() {
            return Err(ConfigError::Syntax {
                origin: format!("environment variable {name}"),
                reason: "not UTF-8".to_owned(),
            });
        }
        let mut values = Values::default();
        let path = self.file();
        if self.needs_file(&path)? {
            let name = path.display().to_string();
            toml_layer::merge(&mut values, &name, &readable(&path)?)?;
            values.set_file(name);
        }
        self.environment.merge(&mut values);
        self.flags(&mut values);
        // The file may name another data directory; the changes lie in the one that counts.
        let data_dir = values.get(&key::DATA_DIR)?.unwrap_or_else(|| self.data_dir());
        let operator_url = values.unchecked(&key::BITCOIN_CORE_URL);
        let kept = Self::changes(&data_dir)?;
        changes.unwrap_or(&kept).merge(&mut values, &data_dir)?;
        self.flags(&mut values);
        // Who runs standalone develops.
        let is_standalone = values.unchecked(&key::STANDALONE).as_bool();
        values.set_default(&key::DEV_MODE.setting, Value::Bool(is_standalone));
        Config::check(&values, operator_url.as_text(), &data_dir)
    }

    /// Whether the file is read: it is named, or was there at the start, or is there now. Without it a relay would go
    /// on with the defaults, which open it to everybody.
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

    fn flags(&self, values: &mut Values) {
        let mut set = |setting: &'static Setting, value| {
            values.set(setting, Ok(value), setting.flag.unwrap_or_default().to_owned());
        };
        if let Some(path) = &self.overrides.data_dir {
            set(&key::DATA_DIR.setting, Value::text(&path.to_string_lossy()));
        }
        if self.overrides.standalone {
            set(&key::STANDALONE.setting, Value::Bool(true));
        }
        if self.overrides.tls_self_signed {
            set(&key::SELF_SIGNED.setting, Value::Bool(true));
        }
    }
}

fn readable(path: &Path) -> Result<String, ConfigError> {
    open_regular(path)
        .and_then(std::io::read_to_string)
        .map_err(|e| ConfigError::Unreadable {
            path: path.to_owned(),
            reason: e.to_string(),
        })
}

#[cfg(test)]
pub(crate) mod tests;
