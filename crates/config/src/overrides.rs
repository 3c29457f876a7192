//! The command line as a layer of the configuration.

use std::path::{Path, PathBuf};

use crate::setting::Setting;
use crate::settings as key;
use crate::values::Values;

/// Flags of the command line, which override file and environment.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// The settings whose flags are given. None of the flags is for a secret.
    flags: Vec<(&'static Setting, String)>,
}

impl Overrides {
    /// As with `--config`.
    #[must_use]
    pub fn with_config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Sets a value as the flag of its setting does.
    #[must_use]
    pub fn with(mut self, setting: &'static Setting, text: impl Into<String>) -> Self {
        self.flags.push((setting, text.into()));
        self
    }

    /// As with `--data-dir`.
    #[must_use]
    pub fn with_data_dir(self, dir: &Path) -> Self {
        self.with(&key::DATA_DIR.setting, dir.to_string_lossy())
    }

    /// As with `--standalone`.
    #[must_use]
    pub fn with_standalone(self) -> Self {
        self.with(&key::STANDALONE.setting, "true")
    }

    /// The data directory, if its flag is given.
    pub fn data_dir(&self) -> Option<&str> {
        self.get(key::DATA_DIR.setting.key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.flags.iter().map(|(setting, _)| setting.key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut flags = self.flags.iter().rev();
        flags
            .find(|(setting, _)| setting.key == key)
            .map(|(_, text)| text.as_str())
    }

    /// Merges the flags over the lower layers.
    pub(super) fn merge(&self, values: &mut Values) {
        for (setting, text) in &self.flags {
            let origin = setting.flag.unwrap_or(setting.key).to_owned();
            values.set(setting, setting.read_text(text), origin);
        }
    }
}
