//! Origins of the values of a configuration.

use std::collections::BTreeMap;

/// Origins of the values of a configuration, without the values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) of: BTreeMap<&'static str, String>,
    /// Origin of keys that are not set.
    pub(crate) file: String,
}

impl Origins {
    /// The file with the line, the variable or the flag.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.of.get(key).unwrap_or(&self.file)
    }
}
