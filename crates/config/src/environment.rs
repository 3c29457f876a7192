//! The environment as a layer of the configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;

use sdk_relay_echo::short;

use crate::error::ConfigError;
use crate::names;
use crate::setting::{ENV_PREFIX, Setting};
use crate::values::Values;

/// An environment variable with the prefix of the settings that is no setting: a typing error, or set by another
/// program. Kubernetes sets `SDK_RELAY_PORT=tcp://…` and others in every container of a namespace with a service called
/// `sdk-relay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The most similar setting, if one is close.
    pub nearest: Option<String>,
}

impl std::fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "environment variable {} is ignored: there is no such setting",
            short(&self.name)
        )?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// The environment variables that are settings.
#[derive(Clone)]
pub(super) struct Environment {
    values: Vec<(&'static Setting, String)>,
    /// Settings of webhooks, with the name of the webhook.
    webhooks: Vec<(String, &'static Setting, String)>,
    unknown: Vec<UnknownVariable>,
    unreadable: Vec<String>,
    /// Keys with the variables that set them, if there are several.
    twice: Vec<(String, Vec<String>)>,
}

/// Some of the values are secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl Environment {
    pub(super) fn new(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let (mut values, mut webhooks) = (Vec::new(), Vec::new());
        let (mut unknown, mut unreadable) = (Vec::new(), Vec::new());
        let mut variables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in all {
            let name = name.to_string_lossy();
            let Some(key) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let key = key.to_lowercase().replace("__", ".");
            // `SDK_RELAY_CONFIG` corresponds to the flag `--config`; the command `status` reads `SDK_RELAY_TOKEN`.
            if key == "config" || key == "token" {
                continue;
            }
            let webhook = names::webhook_key(&key).map(|(name, setting)| (name.to_owned(), setting));
            let found = names::setting(&key).or(webhook.as_ref().map(|(_, setting)| *setting));
            let Some(setting) = found else {
                let nearest = names::nearest(&key).map(Setting::variable);
                let name = name.into_owned();
                unknown.push(UnknownVariable { name, nearest });
                continue;
            };
            variables.entry(key).or_default().push(name.to_string());
            match (value.into_string(), webhook) {
                (Ok(value), None) => values.push((setting, value)),
                (Ok(value), Some((webhook, setting))) => webhooks.push((webhook, setting, value)),
                (Err(_), _) => unreadable.push(name.into_owned()),
            }
        }
        // The order of environment variables is undefined.
        unknown.sort_by(|a, b| a.name.cmp(&b.name));
        let mut twice: Vec<_> = variables.into_iter().filter(|(_, names)| names.len() > 1).collect();
        twice.iter_mut().for_each(|(_, names)| names.sort());
        Self {
            values,
            webhooks,
            unknown,
            unreadable,
            twice,
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        let of_webhooks = self.webhooks.iter().map(|(_, setting, _)| setting.key);
        self.values.iter().map(|(setting, _)| setting.key).chain(of_webhooks)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(setting, _)| setting.key == key)
            .map(|(_, value)| value.as_str())
    }

    /// The variables that are no settings.
    pub(super) fn unknown(&self) -> &[UnknownVariable] {
        &self.unknown
    }

    /// Errors for settings that are not UTF-8, and for those that several variables set, which differ in their case.
    /// The configuration is refused, because ignoring a variable could drop a token, and their order is undefined.
    pub(super) fn unreadable(&self) -> Vec<ConfigError> {
        let unreadable = self.unreadable.iter().map(|name| ConfigError::Syntax {
            origin: format!("environment variable {}", short(name)),
            reason: "not UTF-8".to_owned(),
        });
        let twice = self.twice.iter().map(|(key, names)| ConfigError::Syntax {
            origin: format!("environment variables {}", short(&names.join(", "))),
            reason: format!("all set {key}: unset all but one"),
        });
        unreadable.chain(twice).collect()
    }

    /// Merges the variables over the lower layers.
    pub(super) fn merge(&self, values: &mut Values) {
        for (setting, text) in &self.values {
            values.set(setting, setting.read_text(text), setting.variable());
        }
        for (name, setting, text) in &self.webhooks {
            let variable = setting
                .variable()
                .replacen("__NAME__", &format!("__{}__", name.to_uppercase()), 1);
            values.webhook(name).set(setting, setting.read_text(text), variable);
        }
    }
}
