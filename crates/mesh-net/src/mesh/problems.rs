//! Configured relays that cannot be reached.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use super::{Mesh, proof};

impl Mesh {
    /// Configured relays that cannot be reached: a sentence for each.
    pub fn problems(&self) -> Vec<String> {
        let unreached: Vec<String> = self.read(|core, _| core.unreached_seeds().map(without_key).collect());
        let failures = self.failures();
        let why = unreached
            .into_iter()
            .filter_map(|peer| Some((failures.get(&peer)?, peer)));
        // A list of peers that is the same at all relays contains this relay, too.
        let others = why.filter(|(why, _)| !why.contains(proof::ITSELF));
        others
            .map(|(why, peer)| format!("mesh.peers: no link to {peer} ({why}); retrying"))
            .collect()
    }

    pub(super) fn failures(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address of `mesh.peers` without its key.
pub(super) fn without_key(address: &str) -> String {
    address.split('#').next().unwrap_or_default().to_owned()
}
