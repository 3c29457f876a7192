//! Signatures: what is signed, and the trait that holds the keys.

use sdk_relay_protocol::mesh::{Accusation, RelayEntry, RelayId, RelayStatus};

/// This relay's key, and the verification of signatures. All strings are hex.
pub trait Keys {
    /// This relay's public key.
    fn public_key(&self) -> String;

    /// Signs with this relay's key.
    fn sign(&self, message: &[u8]) -> String;

    /// Whether `signature` over `message` is by `public_key`. Anything malformed is `false`.
    fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool;

    /// The key to which this name is bound, also from earlier runs. `None`: the name belongs to the key with which it
    /// was first received.
    fn bound_key(&self, _relay_id: &RelayId) -> Option<String> {
        None
    }
}

/// What the owner of an entry signs: all fields, length-prefixed, after a domain separator.
pub fn entry_bytes(entry: &RelayEntry) -> Vec<u8> {
    let mut bytes = Bytes::below("sdk_relay/mesh/entry/1");
    bytes.text(entry.relay_id.as_str());
    bytes.text(&entry.public_key);
    bytes.text(&entry.address);
    bytes.number(entry.incarnation);
    bytes.number(entry.version);
    bytes.number(match entry.status {
        RelayStatus::Healthy => 0,
        RelayStatus::Degraded => 1,
        RelayStatus::Critical => 2,
        RelayStatus::Left => 3,
    });
    bytes.text(&entry.software_version);
    bytes.number(entry.capabilities.len() as u64);
    for capability in &entry.capabilities {
        bytes.text(capability);
    }
    bytes.number(entry.started);
    bytes.0
}

/// What an accuser signs.
pub fn accusation_bytes(accusation: &Accusation) -> Vec<u8> {
    let mut bytes = Bytes::below("sdk_relay/mesh/accusation/1");
    bytes.text(accusation.relay_id.as_str());
    bytes.number(accusation.incarnation);
    bytes.number(accusation.version);
    bytes.text(accusation.by.as_str());
    bytes.0
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn below(name: &str) -> Self {
        let mut bytes = Self(Vec::with_capacity(512));
        bytes.text(name);
        bytes
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }
}
