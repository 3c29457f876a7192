//! Where values stand that can turn out wrong once they are used.

use std::collections::BTreeMap;

/// Keys whose values name something outside the configuration: files, addresses.
const KEYS: [&str; 8] = [
    "data_dir",
    "ws_url",
    "http_url",
    "bitcoin_core.cookie_file",
    "mesh.identity",
    "mesh.trust",
    "tls.cert",
    "tls.key",
];

/// The file, the variable or the flag that each value comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(BTreeMap<&'static str, String>);

impl Origins {
    pub(crate) fn new(origin: &dyn Fn(&str) -> String) -> Self {
        Self(KEYS.into_iter().map(|key| (key, origin(key))).collect())
    }

    /// `None` for any other key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}
