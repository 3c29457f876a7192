//! What relays pass on about each other: the marked addition `gossip` to the payload of `StateSync`, in the request and in its response.
//!
//! Every list may be empty and is then left out. A reader bounds each list before it looks at it (`sdk-relay-mesh`, `limits`).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most characters of a relay's name.
pub const MAX_RELAY_ID: usize = 64;

/// A relay's name: 1 to 64 printable ASCII characters without blanks. Copies share one text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64)]
pub struct RelayId(Arc<str>);

/// A text that cannot name a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relay's name has 1 to 64 printable ASCII characters and no blanks")]
pub struct RelayIdError;

impl RelayId {
    /// The name, if it is one.
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

/// What a relay says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayStatus {
    /// All is well.
    #[default]
    Healthy,
    /// Something is amiss; what can be served is served.
    Degraded,
    /// Nothing useful can be served.
    Critical,
    /// It has left the mesh: the goodbye.
    Left,
}

/// What the mesh knows of a relay. Only its owner can make it: it is signed, and the newest (`incarnation`, then `version`) holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct RelayEntry {
    /// Its name, bound to `public_key` by whoever heard of it first.
    pub relay_id: RelayId,
    /// X-only public key, 32 bytes in hex.
    pub public_key: String,
    /// Where it can be reached, `HOST:PORT` or a WebSocket URL.
    pub address: String,
    /// Grows with each start of the relay.
    pub incarnation: u64,
    /// Grows with each change of the entry; only the owner raises it.
    pub version: u64,
    /// How it feels.
    pub status: RelayStatus,
    /// The program's version.
    pub software_version: String,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// When it started, Unix seconds by its own clock: for people, nothing is decided by it.
    pub started: u64,
    /// By `public_key`, over all of the above.
    pub signature: String,
}

/// "I have not heard of this relay for too long." The accused refutes it with a newer entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct Accusation {
    /// Who is silent.
    pub relay_id: RelayId,
    /// `incarnation` of the entry that the accuser has.
    pub incarnation: u64,
    /// `version` of the entry that the accuser has.
    pub version: u64,
    /// Who says so.
    pub by: RelayId,
    /// By the accuser's key, over all of the above.
    pub signature: String,
}

/// "I have this entry": name, incarnation, version, and 1 where it stands accused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Have(pub RelayId, pub u64, pub u64, pub u8);

/// "I have heard of it myself, so long ago": name and milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Heard(pub RelayId, pub u64);

/// The addition to `StateSync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Gossip {
    /// Hash of all that the sender knows: equal at both ends, there is nothing to tell.
    pub digest: u64,
    /// The sender's links.
    #[serde(default)]
    pub links: u16,
    /// Relays that the sender knows, itself among them: a newcomer knows few.
    #[serde(default)]
    pub relays: u16,
    /// The sender will close this link after the exchange (it only looks whether the other is there), or has no room for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passing: bool,
    /// Number of `have`, so that it can be acknowledged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub batch: u64,
    /// The last `batch` that came from the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ack: u64,
    /// What is new at the sender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub have: Vec<Have>,
    /// How far from the sender each relay of `have` is, in their order: 1 is linked to it, what such a one told of is 2, and so on. Where it is missing, far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distances: Vec<u8>,
    /// Entries that the sender asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub want: Vec<RelayId>,
    /// Relays whose accusation the sender asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubt: Vec<RelayId>,
    /// Entries that the other asked for; the sender's own where the link is new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<RelayEntry>)]
    pub entries: Vec<Arc<RelayEntry>>,
    /// Accusations that the other asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Accusation>)]
    pub accusations: Vec<Arc<Accusation>>,
    /// Hashes of the parts of what the sender knows: the other tells of its own what differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<u64>,
    /// Relays that the sender does not reach: has the other heard of them?
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
