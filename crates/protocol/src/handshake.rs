//! The first message of a connection, and its answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SecretHex;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An app or a wallet.
    #[default]
    Client,
    /// Another relay.
    Relay,
}

/// Who a relay is, in its `handshake`: the relay that is asked answers with `relay_challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Identity {
    /// X-only public key of the relay, 32 bytes in hex.
    pub public_key: String,
    /// 32 random bytes in hex, new for each connection.
    pub nonce: String,
}

/// `relay_challenge`: between relays, the answer to a `handshake` that has an `identity`. The signature is over both sides' names, keys and
/// nonces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayChallenge {
    /// This relay's name.
    pub relay_id: String,
    /// Its X-only public key, 32 bytes in hex.
    pub public_key: String,
    /// 32 random bytes in hex, new for each connection.
    pub nonce: String,
    /// Its Schnorr signature (BIP340), 64 bytes in hex.
    pub signature: String,
    /// Unix seconds.
    pub timestamp: u64,
}

/// `relay_proof`: the answer to `relay_challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RelayProof {
    /// The Schnorr signature (BIP340) over the same, 64 bytes in hex.
    pub signature: String,
    /// Where `mesh.secret` is set: HMAC-SHA256 of it over the same, 32 bytes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// `handshake`, from the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Handshake {
    /// 1 to 128 printable characters.
    pub client_id: String,
    /// The API version that the client speaks (semver; the major version must be 1).
    pub version: String,
    /// What the client wants; the names of topics subscribe it to them. Unknown ones are ignored.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// The last `event_id` that the client has dealt with: it gets every later one that is retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_from: Option<u64>,
    /// For a client that comes from another relay, whose `event_id`s are of another log: hashes of the blocks of its chain that it heard of
    /// last, the newest first, at most 32. It gets what this relay's log has after the first of them that is in this relay's chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub resume_after: Vec<String>,
    /// The relay's `auth.read_token`, where it asks for one and the request had no `Authorization` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretHex>,
    /// Client or relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// A relay's own name, with `role` `relay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_id: Option<String>,
    /// Where a relay can be reached, `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who a relay is: with it, the relays prove to each other who they are, and are of one mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeStatus {
    /// Welcome.
    Accepted,
    /// See `reason`; the connection is closed with 1002.
    Rejected,
}

/// What a `resume_from` or a `resume_after` can bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// Everything after it is there and follows.
    Complete,
    /// Some of it is no longer retained; what is retained follows. Or the relay has not seen a block yet: what happens before its first is
    /// not sent.
    Gap,
}

/// `handshake_response`, to the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct HandshakeResponse {
    /// Accepted or rejected.
    pub status: HandshakeStatus,
    /// This relay's name.
    pub relay_id: String,
    /// The API version that the relay speaks.
    pub version: String,
    /// What the relay offers.
    pub capabilities: Vec<String>,
    /// Unix seconds.
    pub timestamp: u64,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Name of this connection, unique for as long as the relay runs.
    #[serde(default)]
    #[schema(required)]
    pub connection_id: Option<String>,
    /// Bitcoin network: `mainnet`, `testnet`, `testnet4`, `signet`, `regtest`.
    #[serde(default)]
    #[schema(required)]
    pub network: String,
    /// The newest `event_id` of the log; 0 when it is empty.
    #[serde(default)]
    #[schema(required)]
    pub last_event_id: u64,
    /// Address of the relay's own silent-payment wallet.
    #[serde(default)]
    #[schema(required)]
    pub silent_payment_address: Option<String>,
    /// The program's own version.
    #[serde(default)]
    #[schema(required)]
    pub software_version: String,
    /// Answer to `resume_from` or `resume_after`, where there was one; `gap` also where the relay has not seen a block yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resume: Option<Resume>,
    /// Answer to `resume_after`: what follows are the events after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resumed_after: Option<u64>,
    /// To a relay, where `mesh.secret` is set: HMAC-SHA256 of it, 32 bytes in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mac: Option<String>,
    /// Other healthy relays of the mesh, the nearest first: for a client whose relay goes away. At most 16; left out where none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<OtherRelay>,
    /// Capabilities of the handshake that this relay does not know and ignores; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_capabilities: Vec<String>,
}

/// Another relay that a client may turn to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct OtherRelay {
    /// Its name.
    pub relay_id: String,
    /// The WebSocket URL that it advertises.
    pub url: String,
}
