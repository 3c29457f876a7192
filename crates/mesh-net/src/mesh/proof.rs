//! Mutual authentication of two relays: a handshake of two signatures, without I/O.
//!
//! ```text
//! dialler   handshake        name, address, key, nonce
//! listener  relay_challenge  name, key, nonce, signature
//! dialler   relay_proof      signature, mac
//! listener  handshake_response accepted, mac
//! ```
//!
//! Each signature covers the side that makes it, the network, and both names, keys and nonces: it cannot be replayed on
//! another connection or reflected to its maker. With `mesh.secret` the dialler proves first that it knows the secret;
//! a peer without it receives nothing to test guesses against, except from a relay that dials it.

use std::sync::Arc;

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};
use bitcoin::hex::DisplayHex;
use sdk_relay_client::Proof;
use sdk_relay_config::Secret;
use sdk_relay_protocol::{self as protocol, Handshake, HandshakeResponse, RelayChallenge, RelayProof};
use sdk_relay_telemetry::clock::unix_now;

use super::identity::{Identity, nonce};
use crate::sync::is_relay_id;

/// Hex digits of a key and of a nonce.
const HEX32: usize = 64;
/// The error for an address of `mesh.peers` that leads back to this relay.
pub(super) const ITSELF: &str = "identity: the other side is this relay itself";
const DOMAIN: &str = "sdk_relay/mesh/handshake/1";

/// This relay's side of every handshake.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its key.
    pub identity: Arc<Identity>,
    /// Its name.
    pub relay_id: String,
    /// Its Bitcoin network: relays of another one are rejected.
    pub network: &'static str,
    /// `mesh.secret`.
    pub secret: Option<Secret>,
}

/// An authenticated relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Its name.
    pub relay_id: String,
    /// Its key in hex.
    pub public_key: String,
}

/// The bytes that both sides sign.
#[derive(Clone, Debug)]
struct Transcript(Vec<u8>);

impl Transcript {
    fn new(network: &str, dialler: [&str; 4], listener: [&str; 3]) -> Self {
        let mut bytes = Vec::with_capacity(512);
        for part in [network].iter().chain(&dialler).chain(&listener) {
            put(&mut bytes, part);
        }
        Self(bytes)
    }

    fn of(&self, side: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() + 64);
        put(&mut bytes, DOMAIN);
        put(&mut bytes, side);
        bytes.extend_from_slice(&self.0);
        bytes
    }

    fn mac(&self, secret: &Secret, side: &str) -> String {
        let mut engine = HmacEngine::<sha256::Hash>::new(secret.expose().as_bytes());
        engine.input(&self.of(side));
        Hmac::<sha256::Hash>::from_engine(engine)
            .to_byte_array()
            .to_lower_hex_string()
    }

    /// Whether a peer knows the secret. Without a secret, any MAC is accepted.
    fn knows(&self, secret: Option<&Secret>, side: &str, mac: Option<&str>) -> bool {
        secret.is_none_or(|secret| Secret::new(self.mac(secret, side)).is(mac.unwrap_or_default()))
    }
}

/// Length-prefixed, so that different lists of parts have different bytes.
fn put(bytes: &mut Vec<u8>, part: &str) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part.as_bytes());
}

const DIALLER: &str = "dialler";
const LISTENER: &str = "listener";

fn is_hex32(text: &str) -> bool {
    text.len() == HEX32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The side that was dialled.
#[derive(Debug)]
pub struct Listener {
    own: Own,
    transcript: Transcript,
    peer: Proven,
}

impl Listener {
    /// A handshake of a relay arrived; returns the challenge.
    pub fn challenge(own: &Own, handshake: &Handshake) -> Result<(Self, RelayChallenge), String> {
        let (Some(relay_id), Some(identity)) = (&handshake.relay_id, &handshake.identity) else {
            return Err("identity: relay_id and public_key are required".to_owned());
        };
        if !is_hex32(&identity.public_key) || !is_hex32(&identity.nonce) {
            return Err("identity: expected public_key and nonce of 32 bytes in lower-case hex".to_owned());
        }
        check_self(own, relay_id, &identity.public_key)?;
        let nonce = nonce();
        let address = handshake.address.as_deref().unwrap_or_default();
        let transcript = Transcript::new(
            own.network,
            [relay_id, &identity.public_key, &identity.nonce, address],
            [&own.relay_id, own.identity.public_key(), &nonce],
        );
        let challenge = RelayChallenge {
            relay_id: own.relay_id.clone(),
            public_key: own.identity.public_key().to_owned(),
            signature: own.identity.sign(&transcript.of(LISTENER)),
            nonce,
            timestamp: unix_now(),
        };
        let peer = Proven {
            relay_id: relay_id.clone(),
            public_key: identity.public_key.clone(),
        };
        let own = own.clone();
        Ok((Self { own, transcript, peer }, challenge))
    }

    /// The dialler's proof arrived. Returns the authenticated peer, and this relay's MAC.
    pub fn verify(self, proof: &RelayProof) -> Result<(Proven, Option<String>), String> {
        let transcript = self.transcript.of(DIALLER);
        if !self
            .own
            .identity
            .verify(&self.peer.public_key, &transcript, &proof.signature)
        {
            return Err("relay_proof: the signature is not valid for this key, connection and network".to_owned());
        }
        let secret = self.own.secret.as_ref();
        if !self.transcript.knows(secret, DIALLER, proof.mac.as_deref()) {
            return Err("relay_proof: mac is missing or wrong: this mesh is closed (mesh.secret)".to_owned());
        }
        let mac = secret.map(|secret| self.transcript.mac(secret, LISTENER));
        Ok((self.peer, mac))
    }
}

/// The side that dialled.
#[derive(Debug)]
pub(super) struct Dialler {
    own: Own,
    address: String,
    nonce: String,
    expect: Expected,
    answered: Option<(Transcript, Proven)>,
}

/// The expected peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// This name.
    pub(super) relay_id: Option<String>,
    /// This key.
    pub(super) public_key: Option<String>,
}

impl Dialler {
    /// Begins a handshake; [`Dialler::identity`] is part of its first message.
    pub(super) fn new(own: Own, address: String, expect: Expected) -> Self {
        Self {
            own,
            address,
            nonce: nonce(),
            expect,
            answered: None,
        }
    }

    /// The identity for the first message.
    pub(super) fn identity(&self) -> protocol::Identity {
        protocol::Identity {
            public_key: self.own.identity.public_key().to_owned(),
            nonce: self.nonce.clone(),
        }
    }

    /// The authenticated peer, once the handshake is complete.
    pub(super) fn proven(self) -> Option<Proven> {
        self.answered.map(|(_, peer)| peer)
    }
}

impl Proof for Dialler {
    fn answer(&mut self, challenge: &RelayChallenge) -> Result<RelayProof, String> {
        let RelayChallenge {
            relay_id,
            public_key,
            nonce,
            signature,
            ..
        } = challenge;
        if self.answered.is_some() {
            return Err("it sent a second challenge".to_owned());
        }
        if !is_relay_id(relay_id) || !is_hex32(public_key) || !is_hex32(nonce) {
            return Err("its challenge is malformed".to_owned());
        }
        if self.expect.public_key.as_ref().is_some_and(|key| key != public_key) {
            return Err(format!("unexpected key: {public_key}"));
        }
        if self.expect.relay_id.as_ref().is_some_and(|id| id != relay_id) {
            return Err(format!("unexpected relay: {relay_id}"));
        }
        check_self(&self.own, relay_id, public_key)?;
        let transcript = Transcript::new(
            self.own.network,
            [
                &self.own.relay_id,
                self.own.identity.public_key(),
                &self.nonce,
                &self.address,
            ],
            [relay_id, public_key, nonce],
        );
        if !self
            .own
            .identity
            .verify(public_key, &transcript.of(LISTENER), signature)
        {
            return Err("its signature is not valid for its key, this connection and this network".to_owned());
        }
        let proof = RelayProof {
            signature: self.own.identity.sign(&transcript.of(DIALLER)),
            mac: self.own.secret.as_ref().map(|secret| transcript.mac(secret, DIALLER)),
        };
        let peer = Proven {
            relay_id: relay_id.clone(),
            public_key: public_key.clone(),
        };
        self.answered = Some((transcript, peer));
        Ok(proof)
    }

    fn accept(&mut self, response: &HandshakeResponse) -> Result<(), String> {
        let Some((transcript, _)) = &self.answered else {
            return Err("it accepted the handshake without a challenge: it does not support the mesh".to_owned());
        };
        if !transcript.knows(self.own.secret.as_ref(), LISTENER, response.mac.as_deref()) {
            return Err("it does not know mesh.secret".to_owned());
        }
        Ok(())
    }
}

fn check_self(own: &Own, relay_id: &str, public_key: &str) -> Result<(), String> {
    if public_key == own.identity.public_key() {
        return Err(ITSELF.to_owned());
    }
    if relay_id == own.relay_id {
        return Err("relay_id: this is the name of this relay, with another key".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
