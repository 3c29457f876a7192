//! The merged layers: for each key the effective value and its origin.

use std::collections::BTreeMap;

use crate::error::ConfigError;
use crate::origins::Origins;
use crate::setting::{Key, Setting};
use crate::settings::{TABLE, WEBHOOK_TABLE};
use crate::value::{Value, Wrong};

/// The values that are set.
#[derive(Clone, Default)]
pub(crate) struct Values {
    entries: BTreeMap<&'static str, Entry>,
    /// The file, if there is one: the origin of a value that is not set.
    file: Option<String>,
    /// The tables of the webhooks, by their names.
    webhooks: BTreeMap<String, Self>,
    /// The name of a webhook, in its table.
    name: Option<String>,
}

/// What the keys of [`WEBHOOK_TABLE`] have instead of a name.
const ANY_NAME: &str = ".NAME.";

/// A value and its origin. Overridden values are not checked: a wrong value is an error only if it is effective.
#[derive(Clone)]
struct Entry {
    value: Result<Value, Wrong>,
    origin: String,
}

impl Values {
    /// Sets the name of the configuration file, for errors about missing values.
    pub(crate) fn set_file(&mut self, name: String) {
        self.file = Some(name);
    }

    /// Sets a value, replacing that of a lower layer.
    pub(crate) fn set(&mut self, setting: &'static Setting, value: Result<Value, Wrong>, origin: String) {
        self.entries.insert(setting.key, Entry { value, origin });
    }

    /// Sets the value of a key that is not set.
    pub(crate) fn set_default(&mut self, setting: &'static Setting, value: Value) {
        let origin = self.file.clone().unwrap_or_else(nowhere);
        let unset = || Entry {
            value: Ok(value),
            origin,
        };
        self.entries.entry(setting.key).or_insert_with(unset);
    }

    /// The parsed value of a setting, checked by itself.
    pub(crate) fn get<T>(&self, key: &Key<T>) -> Result<T, ConfigError> {
        let setting = &key.setting;
        let read = match self.entries.get(setting.key).map(|entry| &entry.value) {
            Some(Ok(value)) => key.read(value),
            Some(Err(wrong)) => Err(wrong.clone()),
            None => key.read(&setting.kind.default()),
        };
        read.map_err(|wrong| self.error(setting, wrong))
    }

    /// The table of a webhook, which is empty if it is new.
    pub(crate) fn webhook(&mut self, name: &str) -> &mut Self {
        let new = || Self {
            name: Some(name.to_owned()),
            ..Self::default()
        };
        self.webhooks.entry(name.to_owned()).or_insert_with(new)
    }

    /// The tables of all webhooks, by their names.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.webhooks.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// Origin of a table: that of one of its values.
    pub(crate) fn any_origin(&self) -> Option<&str> {
        self.entries.values().next().map(|entry| entry.origin.as_str())
    }

    /// The errors of the values that are set, each checked on its own.
    pub(crate) fn wrong_values(&self) -> Vec<ConfigError> {
        let error = |setting: &&'static Setting| {
            let wrong = match &self.entries.get(setting.key)?.value {
                Ok(value) => setting.check(value).err()?,
                Err(wrong) => wrong.clone(),
            };
            Some(self.error(setting, wrong))
        };
        let of_webhooks = self.webhooks.values().flat_map(Self::wrong_values);
        let own = TABLE.iter().chain(WEBHOOK_TABLE).filter_map(error);
        own.chain(of_webhooks).collect()
    }

    /// The value as set, without a check.
    pub(crate) fn unchecked<T>(&self, key: &Key<T>) -> Value {
        match self.entries.get(key.setting.key).map(|entry| &entry.value) {
            Some(Ok(value)) => value.clone(),
            _ => key.setting.kind.default(),
        }
    }

    /// Error for a value that contradicts others: `expected` says why, and what is expected.
    pub(crate) fn wrong<T>(&self, key: &Key<T>, expected: impl Into<String>) -> ConfigError {
        self.error(&key.setting, Wrong::because(expected))
    }

    fn error(&self, setting: &Setting, wrong: Wrong) -> ConfigError {
        let value = self.entries.get(setting.key).map(|entry| &entry.value);
        let found = match (wrong.found, value) {
            _ if setting.is_secret => "…".to_owned(),
            (Some(found), _) => found,
            (None, Some(Ok(value))) => value.shown(),
            (None, _) => setting.kind.default().shown(),
        };
        ConfigError::Value {
            origin: self.origin(setting.key),
            key: self.full_key(setting),
            found,
            expected: wrong.expected.unwrap_or_else(|| setting.expected()),
        }
    }

    /// The key, with the name of the webhook that this table is of.
    fn full_key(&self, setting: &Setting) -> String {
        match &self.name {
            Some(name) => setting.key.replacen(ANY_NAME, &format!(".{name}."), 1),
            None => setting.key.to_owned(),
        }
    }

    /// Origin of the value of a key.
    pub(crate) fn origin(&self, key: &str) -> String {
        match (self.entries.get(key), &self.file) {
            (Some(entry), _) => entry.origin.clone(),
            (None, Some(file)) => file.clone(),
            (None, None) => nowhere(),
        }
    }

    /// Keys of the values that are set.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }

    /// Origins of the values that are set.
    pub(crate) fn origins(&self) -> Origins {
        Origins {
            of: self
                .entries
                .iter()
                .map(|(key, entry)| (*key, entry.origin.clone()))
                .collect(),
            file: self.file.clone().unwrap_or_else(nowhere),
        }
    }
}

fn nowhere() -> String {
    "the settings".to_owned()
}
