//! Changes made with `PUT /config`: a file in the data directory. It overrides configuration file and environment, and
//! is overridden by the flags.
//!
//! The configuration file of the operator is not modified. Deleting `settings.toml` reverts all changes at the next
//! start.

use std::path::Path;

use sdk_relay_files::{is_absent, read_text, reason, replace};
use toml_edit::{DocumentMut, Item, Table, Value};

use crate::error::ConfigError;
use crate::toml_layer;
use crate::values::Values;

/// Name of the file.
pub const CHANGES_FILE: &str = "settings.toml";

/// Largest file: the settings that can be changed have some 2 KB.
const MOST_BYTES: u64 = 1 << 20;
const HEADER: &str = "# Changes made with PUT /config. Delete this file to revert them.\n";

/// Changes to the configuration, by key (levels are separated by dots).
#[derive(Clone, Debug, Default)]
pub struct Changes(DocumentMut);

impl Changes {
    /// Reads the changes of a data directory; empty if there is no file.
    pub(super) fn read(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(CHANGES_FILE);
        let origin = path.display().to_string();
        let unreadable = |error: std::io::Error| ConfigError::Syntax {
            origin: origin.clone(),
            reason: with_advice(&format!("cannot be read: {}", reason(&error))),
        };
        if is_absent(&path).map_err(unreadable)? {
            return Ok(Self::default());
        }
        let text = read_text(&path, MOST_BYTES).map_err(unreadable)?;
        text.parse().map(Self).map_err(|_| {
            // The same error, with its line.
            let checked = toml_layer::merge(&mut Values::default(), &origin, &text);
            match checked.into_iter().next() {
                Some(ConfigError::Syntax { origin, reason }) => ConfigError::Syntax {
                    origin,
                    reason: with_advice(&reason),
                },
                _ => ConfigError::Syntax {
                    origin: origin.clone(),
                    reason: with_advice("not TOML"),
                },
            }
        })
    }

    /// Merges the changes over the lower layers, and returns the errors of their keys.
    pub(super) fn merge(&self, values: &mut Values, data_dir: &Path) -> Vec<ConfigError> {
        let name = data_dir.join(CHANGES_FILE).display().to_string();
        toml_layer::merge(values, &name, &self.text())
    }

    /// Sets a key; `None` reverts its change.
    pub(crate) fn set(&mut self, key: &str, value: Option<Value>) {
        let mut table: &mut Table = self.0.as_table_mut();
        let (path, last) = key.rsplit_once('.').map_or((None, key), |(p, l)| (Some(p), l));
        for part in path.into_iter().flat_map(|p| p.split('.')) {
            let item = table.entry(part).or_insert_with(|| Item::Table(Table::new()));
            if !item.is_table() {
                *item = Item::Table(Table::new());
            }
            let Some(inner) = item.as_table_mut() else { return };
            table = inner;
        }
        match value {
            Some(value) => drop(table.insert(last, Item::Value(value))),
            None => drop(table.remove(last)),
        }
    }

    /// As TOML.
    fn text(&self) -> String {
        self.0.to_string()
    }

    /// Whether nothing is changed.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.0
            .as_table()
            .iter()
            .all(|(_, item)| item.as_table().is_some_and(Table::is_empty))
    }

    /// Writes the file as a whole.
    pub fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let text = format!("{HEADER}{}", self.text().trim_start_matches(HEADER));
        replace(&data_dir.join(CHANGES_FILE), text.as_bytes())
    }
}

fn with_advice(reason: &str) -> String {
    format!("{reason}; correct the file, or delete it to revert the changes of PUT /config")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_and_reverted() {
        let dir = tempfile::tempdir().unwrap();
        let mut changes = Changes::read(dir.path()).unwrap();
        assert!(changes.is_empty());
        changes.set("sync.interval", Some(60.into()));
        changes.set("dev_mode", Some(true.into()));
        changes.write(dir.path()).unwrap();
        let mut again = Changes::read(dir.path()).unwrap();
        assert_eq!(
            again.text().replace(HEADER, ""),
            "dev_mode = true\n\n[sync]\ninterval = 60\n"
        );
        again.set("sync.interval", None);
        again.set("dev_mode", None);
        assert!(again.is_empty());
        again.write(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(CHANGES_FILE)).unwrap();
        assert_eq!(text.matches("# Changes").count(), 1, "{text}");
    }

    #[test]
    fn a_damaged_file_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CHANGES_FILE), "= 3").unwrap();
        assert!(Changes::read(dir.path()).is_err());
    }
}
