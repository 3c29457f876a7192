//! The environment as a layer of the configuration.

use std::ffi::OsString;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::file::File;

/// What the names of our environment variables begin with; `__` stands between levels.
pub(super) const ENV_PREFIX: &str = "SDK_RELAY_";
/// A known name with at most so many edits is suggested for an unknown one.
const SUGGEST_WITHIN: usize = 3;

/// A variable that begins like ours and is no setting: a typing error, or not meant for us. Kubernetes sets `SDK_RELAY_PORT=tcp://…` and
/// others in every container beside a service that is called `sdk-relay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The variable that may be meant, where one is close.
    pub nearest: Option<String>,
}

impl std::fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "environment variable {} is ignored: there is no such setting",
            self.name
        )?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// The environment variables that are settings. A value takes the type that the key's default has, so that a password of digits stays a text.
#[derive(Clone)]
pub(super) struct Environment {
    values: Vec<(String, String)>,
    unknown: Vec<UnknownVariable>,
    unreadable: Option<String>,
}

/// Some of the values are secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(key, _)| key)).finish()
    }
}

impl Environment {
    pub(super) fn new(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let known = keys();
        let (mut values, mut unknown, mut unreadable) = (Vec::new(), Vec::new(), None);
        for (name, value) in all {
            let name = name.to_string_lossy();
            let Some(key) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            let key = key.to_lowercase().replace("__", ".");
            // `SDK_RELAY_CONFIG` is the flag `--config`.
            if key == "config" {
                continue;
            }
            if !known.contains(&key) {
                let nearest = nearest(&key, &known);
                let name = name.into_owned();
                unknown.push(UnknownVariable { name, nearest });
                continue;
            }
            match value.into_string() {
                Ok(value) => values.push((key, value)),
                Err(_) => drop(unreadable.get_or_insert_with(|| name.into_owned())),
            }
        }
        // The environment has no order of its own.
        unknown.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            values,
            unknown,
            unreadable,
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(key, _)| key.as_str())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The variables that are no settings.
    pub(super) fn unknown(&self) -> &[UnknownVariable] {
        &self.unknown
    }

    /// A setting that is not UTF-8. The configuration is refused then: what it was to set would be left out without a word, a token perhaps.
    pub(super) fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }
}

/// Every key, with dots between levels.
fn keys() -> Vec<String> {
    fn collect(dict: &Dict, prefix: &str, keys: &mut Vec<String>) {
        for (name, value) in dict {
            match value {
                Value::Dict(_, inner) => collect(inner, &format!("{prefix}{name}."), keys),
                _ => keys.push(format!("{prefix}{name}")),
            }
        }
    }
    let mut keys = Vec::new();
    if let Ok(Value::Dict(_, all)) = Value::serialize(File::default()) {
        collect(&all, "", &mut keys);
    }
    keys
}

/// The variable of the key that is closest to this one.
fn nearest(key: &str, known: &[String]) -> Option<String> {
    // Short names are close to each other by chance: at most a third of the letters may differ.
    let within = SUGGEST_WITHIN.min(key.len() / 3);
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name));
    let (_, name) = distances.filter(|(distance, _)| *distance <= within).min()?;
    Some(variable(name))
}

/// The name of a key's variable.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

impl Provider for &Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENV_PREFIX)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let defaults = Value::serialize(File::default())?;
        let mut all = Dict::new();
        for (key, text) in &self.values {
            let value = match defaults.find_ref(key) {
                Some(Value::Num(..)) => text
                    .parse::<u64>()
                    .map_or_else(|_| Value::from(text.as_str()), Value::from),
                Some(Value::Bool(..)) => text
                    .parse::<bool>()
                    .map_or_else(|_| Value::from(text.as_str()), Value::from),
                // A list is written with commas.
                Some(Value::Array(..)) => text
                    .split(',')
                    .map(str::trim)
                    .filter(|t| !t.is_empty())
                    .collect::<Vec<_>>()
                    .into(),
                _ => Value::from(text.as_str()),
            };
            // A key has a name, so that a dict is made around the value.
            if let Some(nested) = figment::util::nest(key, value).into_dict() {
                merge(&mut all, nested);
            }
        }
        Ok(Profile::Default.collect(all))
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, old)), Value::Dict(_, new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
