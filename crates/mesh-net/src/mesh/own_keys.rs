//! The key and the bound names of this relay, as the state machine uses them.

use std::sync::Arc;

use sdk_relay_mesh::Keys;
use sdk_relay_protocol::mesh::RelayId;

use super::bindings::Bindings;
use super::identity::Identity;

/// Identity and bound names.
#[derive(Debug)]
pub(super) struct OwnKeys(pub(super) Arc<Identity>, pub(super) Arc<Bindings>);

impl Keys for OwnKeys {
    fn public_key(&self) -> String {
        self.0.public_key().to_owned()
    }

    fn sign(&self, message: &[u8]) -> String {
        self.0.sign(message)
    }

    fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool {
        self.0.verify(public_key, message, signature)
    }

    fn bound_key(&self, relay_id: &RelayId) -> Option<String> {
        self.1.key_of(relay_id.as_str())
    }
}
