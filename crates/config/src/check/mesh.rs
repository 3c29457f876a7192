//! `[mesh]`: other relays.

use crate::config::MeshConfig;
use crate::error::ConfigError;
use crate::settings as key;
use crate::values::Values;

impl MeshConfig {
    pub(super) fn check(values: &Values) -> Result<Self, ConfigError> {
        let peers = values.get(&key::PEERS)?;
        if values.get(&key::STANDALONE)? && !peers.is_empty() {
            let why = "expected none: a standalone relay has its own chain, and no mesh";
            return Err(values.wrong(&key::PEERS, why));
        }
        Ok(Self {
            peers,
            advertise: values.get(&key::ADVERTISE)?,
            proxy: values.get(&key::MESH_PROXY)?,
            secret: values.get(&key::MESH_SECRET)?,
            max_links: values.get(&key::MAX_LINKS)?,
            allow_private: values.get(&key::ALLOW_PRIVATE)?,
            identity: values.get(&key::IDENTITY)?,
            trust: values.get(&key::TRUST)?,
        })
    }
}
