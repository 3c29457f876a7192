//! The shared secret of sender and receiver, for one transaction and one scan key.

use bitcoin::secp256k1::ecdh::shared_secret_point;
use bitcoin::secp256k1::{PublicKey, SecretKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::hash;

/// The compressed point `b_scan·T`, which is the sender's `input_hash·a·B_scan`.
pub(crate) struct SharedSecret(Zeroizing<[u8; 33]>);

impl SharedSecret {
    /// Multiplies in constant time: an attacker can choose the point by sending transactions, and measure the time of
    /// the relay's answers.
    pub(crate) fn new(point: &PublicKey, scalar: &SecretKey) -> Self {
        let mut coordinates = shared_secret_point(point, scalar);
        let mut compressed = Zeroizing::new([0; 33]);
        compressed[0] = 2 | (coordinates[63] & 1);
        compressed[1..].copy_from_slice(&coordinates[..32]);
        coordinates.zeroize();
        Self(compressed)
    }

    /// `t_k`, the tweak of the k-th output.
    pub(crate) fn output_tweak(&self, k: u32) -> Option<SecretKey> {
        hash::output_tweak(&self.0, k)
    }
}
