//! The layers of the configuration: defaults, file, credentials, environment, flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sdk_relay_files::{is_absent, read_text};

use crate::changes::{CHANGES_FILE, Changes};
use crate::config::Config;
use crate::credentials::{CredentialFiles, DIRECTORY_VARIABLE};
use crate::data_dir::default_data_dir;
use crate::environment::{Environment, UnknownVariable};
use crate::error::ConfigError;
use crate::overrides::Overrides;
use crate::settings as key;
use crate::toml_layer;
use crate::value::Value;
use crate::values::Values;

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "sdk_relay.toml";
/// Largest configuration file: that with every setting and its explanation has some 30 KB.
const MOST_BYTES: u64 = 1 << 20;

/// Loads the layers: at the start, for `PUT /config`, and at a restart.
#[derive(Clone, Debug)]
pub struct Loader {
    overrides: Overrides,
    credentials: CredentialFiles,
    environment: Environment,
    /// The file existed when this was created: it must still exist at a restart.
    had_file: bool,
}

impl Loader {
    /// Uses the environment of this process.
    pub fn new(overrides: Overrides) -> Self {
        Self::with_environment(overrides, std::env::vars_os())
    }

    fn with_environment(overrides: Overrides, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let environment: Vec<_> = environment.collect();
        let directory = environment.iter().find(|(name, _)| name == DIRECTORY_VARIABLE);
        let mut loader = Self {
            overrides,
            credentials: CredentialFiles::new(directory.map(|(_, path)| path.into())),
            environment: Environment::new(environment.into_iter()),
            had_file: false,
        };
        // If the check fails, the file is assumed to exist, and reading it gives the error.
        loader.had_file = !is_absent(&loader.file()).unwrap_or(false);
        loader
    }

    /// The environment variables with our prefix that are no settings. They are ignored.
    pub fn unknown_variables(&self) -> &[UnknownVariable] {
        self.environment.unknown()
    }

    /// The path of the missing file if nothing is configured: no variable, no flag except those that give its path, no
    /// change of `PUT /config`.
    pub fn nothing_given(&self) -> Option<PathBuf> {
        let is_place = |key: &str| key == key::DATA_DIR.setting.key;
        let is_silent = self.overrides.config.is_none()
            && self.overrides.keys().all(is_place)
            && self.environment.keys().all(is_place);
        let data_dir = self.data_dir();
        let files = [FILE_NAME, CHANGES_FILE].map(|name| data_dir.join(name));
        let [file, _] = &files;
        (is_silent && !files.iter().any(|path| !is_absent(path).unwrap_or(false))).then(|| file.clone())
    }

    /// Path of the configuration file, whether it exists or not.
    pub fn file(&self) -> PathBuf {
        let in_data_dir = || self.data_dir().join(FILE_NAME);
        self.overrides.config.clone().unwrap_or_else(in_data_dir)
    }

    fn data_dir(&self) -> PathBuf {
        let key = key::DATA_DIR.setting.key;
        let given = self.overrides.get(key).or_else(|| self.environment.get(key));
        // As in the file, an empty text is the default.
        let given = given.filter(|path| !path.is_empty());
        given.map_or_else(default_data_dir, PathBuf::from)
    }

    /// Reads all layers and checks them.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.read(None)
    }

    /// The configuration with these changes instead of the stored ones.
    pub fn load_with(&self, changes: &Changes) -> Result<Config, ConfigError> {
        self.read(Some(changes))
    }

    /// The changes stored in this data directory.
    pub fn changes(data_dir: &Path) -> Result<Changes, ConfigError> {
        Changes::read(data_dir)
    }

    fn read(&self, changes: Option<&Changes>) -> Result<Config, ConfigError> {
        let mut values = Values::default();
        let mut wrong = self.environment.unreadable();
        let path = self.file();
        match self.text(&path) {
            Ok(Some(text)) => {
                let name = path.display().to_string();
                wrong.extend(toml_layer::merge(&mut values, &name, &text));
                values.set_file(name);
            }
            Ok(None) => {}
            Err(error) => wrong.push(error),
        }
        wrong.extend(self.credentials.merge(&mut values));
        self.environment.merge(&mut values);
        self.overrides.merge(&mut values);
        // The file may name another data directory; the changes are read from the effective one.
        let named = values.get(&key::DATA_DIR).ok().flatten();
        let data_dir = named.unwrap_or_else(|| self.data_dir());
        let operator_url = values.unchecked(&key::BITCOIN_CORE_URL);
        match Self::changes(&data_dir) {
            Ok(kept) => wrong.extend(changes.unwrap_or(&kept).merge(&mut values, &data_dir)),
            Err(error) => wrong.push(error),
        }
        self.overrides.merge(&mut values);
        // Standalone mode is for development.
        let is_standalone = values.unchecked(&key::STANDALONE).as_bool();
        values.set_default(&key::DEV_MODE.setting, Value::Bool(is_standalone));
        // All of them: each correction may cost the restart of a container.
        wrong.extend(values.wrong_values());
        ConfigError::all_of(wrong)?;
        Config::check(&values, operator_url.as_text(), &data_dir)
    }

    /// The text of the file; `None` without one.
    fn text(&self, path: &Path) -> Result<Option<String>, ConfigError> {
        self.needs_file(path)?.then(|| readable(path)).transpose()
    }

    /// Whether the file must be read: it is given by flag or variable, existed at the start, or exists now. With the
    /// defaults instead, a relay would lose its access tokens.
    fn needs_file(&self, path: &Path) -> Result<bool, ConfigError> {
        if self.overrides.config.is_some() || self.had_file {
            return Ok(true);
        }
        is_absent(path).map(|absent| !absent).map_err(ConfigError::unreadable)
    }
}

fn readable(path: &Path) -> Result<String, ConfigError> {
    read_text(path, MOST_BYTES).map_err(ConfigError::unreadable)
}

#[cfg(test)]
pub(crate) mod tests;
