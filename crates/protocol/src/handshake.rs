//! The first message of a connection, and its response.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SecretHex;

/// Kind of peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An app or a wallet.
    #[default]
    Client,
    /// Another relay.
    Relay,
}

/// Identity of a relay, in its `handshake`. The other relay answers with `relay_challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Identity {
    /// X-only public key of the relay, 32 bytes in hex.
    pub public_key: String,
    /// 32 random bytes in hex, new for each connection.
    pub nonce: String,
}

/// `relay_challenge`, between relays: answer to a `handshake` with an `identity`. The signature covers the names,
/// keys and nonces of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayChallenge {
    /// This relay's name.
    pub relay_id: String,
    /// X-only public key of this relay, 32 bytes in hex.
    pub public_key: String,
    /// 32 random bytes in hex, new for each connection.
    pub nonce: String,
    /// Schnorr signature (BIP340) by this key, 64 bytes in hex.
    pub signature: String,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `relay_proof`, between relays: answer to `relay_challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayProof {
    /// Schnorr signature (BIP340) over the same values as in `relay_challenge`, 64 bytes in hex.
    pub signature: String,
    /// Required if `mesh.secret` is set: HMAC-SHA256 with the secret over the same values, 32 bytes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// `handshake`, from the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Handshake {
    /// 1 to 128 printable characters.
    pub client_id: String,
    /// API version that the client uses: semver, major version 1, at most 64 bytes.
    pub version: String,
    /// What the client requests. The name of a topic subscribes to it; `sync` also allows sync requests. Unknown names
    /// are ignored.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// Last `event_id` that the client has processed. The relay sends every later event that it retains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_from: Option<u64>,
    /// For a client that comes from another relay, whose `event_id`s belong to another log: hashes of the newest
    /// blocks that were reported to it, at most 32, newest first. The relay sends the events after the first of them
    /// that is in its chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub resume_after: Vec<String>,
    /// `auth.read_token` of the relay, if it requires one and the request had no `Authorization` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretHex>,
    /// Kind of peer; a client if omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Relays only: name of the relay that connects. Required with `role` `relay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_id: Option<String>,
    /// Relays only: address at which the relay can be reached, `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Relays only: identity of the relay. With it, both relays prove their identity and join one mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// Result of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeStatus {
    /// The handshake is complete.
    Accepted,
    /// The handshake failed; `reason` says why. The relay then closes the connection with 1002, or with 1008 if a
    /// token or the proof of a relay is missing or wrong.
    Rejected,
}

/// Whether a client that resumes receives everything that it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// The relay has every event after the given one, and sends all of them.
    Complete,
    /// Some of these events are no longer retained; the relay sends those that are. Or the relay has not had a first
    /// block yet, and does not send events from before it.
    Gap,
}

/// `handshake_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct HandshakeResponse {
    /// Whether the relay accepted the handshake.
    pub status: HandshakeStatus,
    /// This relay's name.
    pub relay_id: String,
    /// The API version that the relay supports.
    pub version: String,
    /// What the relay offers.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Why the handshake was rejected; only present with `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Name of this connection, unique while the relay runs.
    #[serde(default)]
    #[schema(required)]
    pub connection_id: Option<String>,
    /// Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet`, `regtest`.
    #[serde(default)]
    #[schema(required)]
    pub network: String,
    /// Newest `event_id` in the log; 0 if the log is empty.
    #[serde(default)]
    #[schema(required)]
    pub last_event_id: u64,
    /// Address of the relay's own silent-payment wallet; `null` for a relay without one.
    #[serde(default)]
    #[schema(required)]
    pub silent_payment_address: Option<String>,
    /// Version of the program.
    #[serde(default)]
    #[schema(required)]
    pub software_version: String,
    /// Only present after `resume_from` or `resume_after`, and as `gap` if the relay has not had a first block yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resume: Option<Resume>,
    /// Only present after `resume_after`: the events after this `event_id` follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resumed_after: Option<u64>,
    /// Only sent to relays, if `mesh.secret` is set: HMAC-SHA256 with the secret, 32 bytes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mac: Option<String>,
    /// Other healthy relays of the mesh, nearest first, at most 16, to connect to if this relay becomes unavailable.
    /// Absent if none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<OtherRelay>,
    /// Requested capabilities that this relay does not know and ignores; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_capabilities: Vec<String>,
}

/// Another relay that the client can connect to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct OtherRelay {
    /// Name of the relay.
    pub relay_id: String,
    /// The WebSocket URL that it advertises.
    pub url: String,
}
