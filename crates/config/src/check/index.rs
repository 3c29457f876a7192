//! `[index]` and `[blindbit]`: the tweak index, and the Oracle that it is compared with.

use crate::config::IndexConfig;
use crate::error::ConfigError;
use crate::network::Network;
use crate::settings as key;
use crate::values::Values;

impl IndexConfig {
    /// `None` if the index is disabled.
    pub(super) fn check(values: &Values, network: Network) -> Result<Option<Self>, ConfigError> {
        let height = values.get(&key::START_HEIGHT)?;
        let threads = values.get(&key::SCAN_THREADS)?;
        Ok(values.get(&key::INDEX_ENABLED)?.then(|| Self {
            start_height: if height > 0 { height } else { network.taproot_height() },
            scan_threads: match threads {
                // One processor remains for detection.
                0 => std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1)),
                threads => threads,
            },
        }))
    }
}

/// The address of the BlindBit Oracle; `None` if none is set.
pub(super) fn blindbit_url(values: &Values) -> Result<Option<String>, ConfigError> {
    let is_set = !values.unchecked(&key::ORACLE_URL).as_text().is_empty();
    if is_set && values.get(&key::STANDALONE)? {
        let why = "expected nothing: a standalone relay has its own chain, which no Oracle knows";
        return Err(values.wrong(&key::ORACLE_URL, why));
    }
    if is_set && !values.get(&key::INDEX_ENABLED)? {
        let why = "expected nothing: an Oracle is compared with the index, and index.enabled is false";
        return Err(values.wrong(&key::ORACLE_URL, why));
    }
    values.get(&key::ORACLE_URL)
}
