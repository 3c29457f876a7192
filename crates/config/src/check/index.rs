//! `[index]` and `[blindbit]`: the tweak index, and the Oracle that it is compared with.

use super::checker::Checker;
use crate::blindbit_url::check_url;
use crate::error::ConfigError;
use crate::file::File;
use crate::network::Network;

/// Highest height that a block can have (BIP34 and the 32 bits of most formats aside, some ten thousand years from now).
const MAX_HEIGHT: u64 = 500_000_000;
/// More threads than any machine has cores only wait for each other.
const MAX_SCAN_THREADS: u64 = 1024;

/// The tweak index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// Where it begins.
    pub start_height: u32,
    /// Threads that build and scan it.
    pub scan_threads: usize,
}

impl IndexConfig {
    /// `None` where the index is switched off.
    pub(super) fn check(at: &Checker<'_>, file: &File, network: Network) -> Result<Option<Self>, ConfigError> {
        let index = &file.index;
        let height = at.within("index.start_height", index.start_height, 0, MAX_HEIGHT)?;
        let threads = at.within("index.scan_threads", index.scan_threads, 0, MAX_SCAN_THREADS)?;
        Ok(index.enabled.then(|| Self {
            start_height: match u32::try_from(height) {
                Ok(height) if height > 0 => height,
                _ => network.taproot_height(),
            },
            scan_threads: match usize::try_from(threads) {
                Ok(threads) if threads > 0 => threads,
                // One is left for detection.
                _ => std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1)),
            },
        }))
    }
}

/// The address of the BlindBit Oracle; `None` where none is set.
pub(super) fn blindbit_url(at: &Checker<'_>, file: &File) -> Result<Option<String>, ConfigError> {
    let url = file.blindbit.url.as_str();
    if url.is_empty() {
        return Ok(None);
    }
    let wrong = |expected: &str| {
        // A password in it is not repeated.
        let shown = if url.contains('@') { "…@…" } else { url };
        at.wrong("blindbit.url", shown, expected)
    };
    if file.standalone {
        return Err(wrong(
            "expected nothing: a standalone relay has its own chain, which no Oracle knows",
        ));
    }
    if !file.index.enabled {
        return Err(wrong(
            "expected nothing: an Oracle is compared with the index, and index.enabled is false",
        ));
    }
    let checked = check_url(url).map_err(|error| {
        wrong(&format!(
            "expected the URL of a BlindBit Oracle, http://HOST:PORT or https://HOST:PORT, optionally with a path ({error})"
        ))
    })?;
    Ok(Some(checked))
}
