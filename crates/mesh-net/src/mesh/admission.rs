//! Which relays may connect, and under which names.

use std::net::IpAddr;

use sdk_relay_protocol::{Handshake, RelayChallenge, RelayProof};

use super::Mesh;
use super::bindings::NameRefused;
use super::proof::{Listener, Proven};

impl Mesh {
    /// Whether a relay that has proven no key may use this name.
    pub fn lets_unproven(&self, relay_id: &str) -> Result<(), String> {
        if self.own.secret.is_some() {
            return Err("identity: required, because this mesh is closed (mesh.secret)".to_owned());
        }
        let known = self.read(|core, now| core.relay(now, relay_id).is_some() || core.proven_key(relay_id).is_some());
        if known || self.bindings.key_of(relay_id).is_some() {
            return Err("relay_id: this name is bound to a key: prove your identity (identity)".to_owned());
        }
        Ok(())
    }

    /// A handshake of a relay arrived from this address: returns the challenge.
    pub fn challenge(&self, handshake: &Handshake, from: IpAddr) -> Result<(Listener, RelayChallenge), String> {
        if self.alone {
            return Err("identity: this relay runs standalone, without a mesh".to_owned());
        }
        if !self.handshakes.may_begin(from) {
            return Err("identity: too many proofs from this address: try again in a minute".to_owned());
        }
        Listener::challenge(&self.own, handshake)
    }

    /// The proof arrived: returns the authenticated peer, and the MAC to answer with.
    pub fn verify(&self, listener: Listener, proof: &RelayProof) -> Result<(Proven, Option<String>), String> {
        let (peer, mac) = listener.verify(proof)?;
        self.admit(&peer).map_err(|refused| refused.to_string())?;
        Ok((peer, mac))
    }

    /// Whether a relay that has proven its key may use its name: it is bound to that key, or no other known relay has
    /// proven it.
    pub(super) fn admit(&self, peer: &Proven) -> Result<(), NameRefused> {
        self.bindings.admit(&peer.relay_id, &peer.public_key)?;
        let bound = self.bindings.key_of(&peer.relay_id).is_some();
        let taken = self.read(|core, _| {
            let key = core.proven_key(&peer.relay_id);
            key.is_some_and(|key| key != peer.public_key)
        });
        if taken && !bound {
            Err(NameRefused::Taken)
        } else {
            Ok(())
        }
    }
}
