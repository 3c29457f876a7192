//! Parses the body of `PUT /config`, a JSON merge patch (RFC 7396), into changes of settings.

use serde_json::{Map, Value as Json};

use crate::changes::Changes;
use crate::names;
use crate::setting::Setting;
use crate::settings::GROUPS;

/// An invalid key of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongKey {
    /// The key, with dots between levels.
    pub key: String,
    /// The expectation, or that there is no such setting.
    pub reason: String,
}

impl Changes {
    /// Applies a patch; `null` reverts a change. Collects all errors. Checks each value by itself too: the loader does
    /// not check a value that a flag overrides, and it would fail at a start without the flag.
    pub fn patch(&mut self, patch: &Map<String, Json>) -> Result<(), Vec<WrongKey>> {
        let mut wrong = Vec::new();
        self.table("", patch, &mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn table(&mut self, prefix: &str, patch: &Map<String, Json>, wrong: &mut Vec<WrongKey>) {
        for (name, value) in patch {
            let key = format!("{prefix}{name}");
            let is_group = prefix.is_empty() && GROUPS.iter().any(|(group, _)| group == name);
            let reason = match (names::setting(&key), value) {
                // "sync.interval" as one name is not a key of the document: merged with `sync` it would be a duplicate.
                _ if name.contains('.') => {
                    "there is no such setting; levels are objects: {\"sync\": {\"interval\": 60}}".to_owned()
                }
                (Some(setting), value) => match self.value(setting, value) {
                    Ok(()) => continue,
                    Err(reason) => reason,
                },
                (None, Json::Object(inner)) if is_group => {
                    self.table(&format!("{key}."), inner, wrong);
                    continue;
                }
                (None, _) if is_group => "expected an object".to_owned(),
                (None, _) => match names::nearest(&key) {
                    Some(nearest) => format!("there is no such setting; did you mean {}?", nearest.key),
                    None => "there is no such setting".to_owned(),
                },
            };
            wrong.push(WrongKey { key, reason });
        }
    }

    fn value(&mut self, setting: &Setting, value: &Json) -> Result<(), String> {
        if setting.change.is_none() {
            return Err(
                "cannot be changed over HTTP: it is set in the configuration file or the environment".to_owned(),
            );
        }
        if value.is_null() {
            self.set(setting.key, None);
            return Ok(());
        }
        let checked = setting.read_json(value).and_then(|value| {
            setting.check(&value)?;
            Ok(value)
        });
        let value = checked.map_err(|wrong| wrong.expected.unwrap_or_else(|| setting.expected()))?;
        self.set(setting.key, Some(value.to_toml()));
        Ok(())
    }
}
