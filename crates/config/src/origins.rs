//! Where the values of a configuration stand.

use std::collections::BTreeMap;

/// Where the values of a configuration stand, without the values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) of: BTreeMap<&'static str, String>,
    /// For keys that are set nowhere.
    pub(crate) file: String,
}

impl Origins {
    /// The file with the line, the variable or the flag.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.of.get(key).unwrap_or(&self.file)
    }
}
