//! Gossip between relays: the field `gossip` in the payload of `StateSync`, in requests and in responses.
//!
//! Empty lists are omitted. A receiver limits the length of each list before it reads it (`sdk-relay-mesh`,
//! `limits`).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Maximum length of a relay's name, in characters.
pub const MAX_RELAY_ID: usize = 64;

/// Name of a relay: 1 to 64 printable ASCII characters without spaces. Clones share one allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64)]
pub struct RelayId(Arc<str>);

/// The text is not a valid relay name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 64 printable ASCII characters without spaces")]
pub struct RelayIdError;

impl RelayId {
    /// Checks and wraps a name.
    pub fn new(text: &str) -> Result<Self, RelayIdError> {
        let fits = (1..=MAX_RELAY_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into())).ok_or(RelayIdError)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RelayId {
    type Error = RelayIdError;

    fn try_from(text: String) -> Result<Self, RelayIdError> {
        Self::new(&text)
    }
}

impl From<RelayId> for String {
    fn from(id: RelayId) -> Self {
        id.as_str().to_owned()
    }
}

impl Borrow<str> for RelayId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Status that a relay reports about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayStatus {
    /// No problem.
    #[default]
    Healthy,
    /// There is a problem; the relay serves what it can.
    Degraded,
    /// The relay can serve nothing useful.
    Critical,
    /// The relay has left the mesh.
    Left,
}

/// Entry of a relay in the mesh. Only its owner can create it, because it is signed. The newest one (by
/// `incarnation`, then `version`) is valid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct RelayEntry {
    /// Name of the relay. Each receiver binds it to the first `public_key` that it sees.
    pub relay_id: RelayId,
    /// X-only public key, 32 bytes in hex.
    pub public_key: String,
    /// Address at which the relay can be reached: `HOST:PORT` or a WebSocket URL.
    pub address: String,
    /// Increases with each start of the relay.
    pub incarnation: u64,
    /// Increases with each change of the entry. Only the owner changes it.
    pub version: u64,
    /// Status of the relay.
    pub status: RelayStatus,
    /// Version of the program.
    pub software_version: String,
    /// What the relay offers.
    pub capabilities: Vec<String>,
    /// Start time, in Unix seconds of its own clock. For information only.
    pub started: u64,
    /// Signature by `public_key` over all fields above.
    pub signature: String,
}

/// Claim that a relay has been silent for too long. The accused relay refutes it with a newer entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct Accusation {
    /// The silent relay.
    pub relay_id: RelayId,
    /// `incarnation` of the accuser's entry of that relay.
    pub incarnation: u64,
    /// `version` of the accuser's entry of that relay.
    pub version: u64,
    /// The accuser.
    pub by: RelayId,
    /// Signature by the accuser's key over all fields above.
    pub signature: String,
}

/// Announcement of an entry: name, incarnation, version, and 1 if the relay is accused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Have(pub RelayId, pub u64, pub u64, pub u8);

/// Answer to a probe: name, and milliseconds since the sender last received a message from that relay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Heard(pub RelayId, pub u64);

/// Gossip payload of `StateSync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Gossip {
    /// Hash of everything that the sender knows. If it is equal on both sides, there is nothing to exchange.
    pub digest: u64,
    /// Number of links of the sender.
    #[serde(default)]
    pub links: u16,
    /// Number of relays that the sender knows, including itself.
    #[serde(default)]
    pub relays: u16,
    /// The sender closes this link after the exchange: it only probes the other relay, or its link slots are full.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passing: bool,
    /// Sequence number of `have`, for acknowledgement.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batch: u64,
    /// Last `batch` received from the other relay.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ack: u64,
    /// Entries that are new at the sender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub have: Vec<Have>,
    /// Distance of each relay in `have` from the sender, in the same order: 1 for a linked relay, 2 for one that a
    /// linked relay reported, and so on. A missing value counts as far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distances: Vec<u8>,
    /// Relays whose entries the sender requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub want: Vec<RelayId>,
    /// Relays whose accusations the sender requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubt: Vec<RelayId>,
    /// Requested entries; on a new link, the entry of the sender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<RelayEntry>)]
    pub entries: Vec<Arc<RelayEntry>>,
    /// Requested accusations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Accusation>)]
    pub accusations: Vec<Arc<Accusation>>,
    /// Hashes of the buckets of the sender's entries. The other relay announces its entries in the buckets that
    /// differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<u64>,
    /// Relays that the sender cannot reach, to ask whether the other relay receives from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe: Vec<RelayId>,
    /// Answers to `probe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
