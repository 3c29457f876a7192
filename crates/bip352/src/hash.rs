//! The three tagged hashes of BIP352.

use bitcoin::OutPoint;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256t_hash_newtype};
use bitcoin::secp256k1::{PublicKey, Scalar, SecretKey};

sha256t_hash_newtype! {
    struct InputsTag = hash_str("BIP0352/Inputs");
    /// Binds a tweak to the transaction's inputs.
    #[hash_newtype(forward)]
    struct InputsHash(_);

    struct LabelTag = hash_str("BIP0352/Label");
    /// Computes the tweak of a label.
    #[hash_newtype(forward)]
    struct LabelHash(_);

    struct SharedSecretTag = hash_str("BIP0352/SharedSecret");
    /// Computes the tweak of an output.
    #[hash_newtype(forward)]
    struct SharedSecretHash(_);
}

/// `input_hash` = hash(smallest outpoint ‖ A). `None` without outpoints, or if the hash is not a scalar below the group
/// order.
pub(crate) fn input_hash(outpoints: impl Iterator<Item = OutPoint>, sum: &PublicKey) -> Option<Scalar> {
    let smallest = smallest_outpoint(outpoints)?;
    Scalar::from_be_bytes(input_digest(&smallest, &sum.serialize())).ok()
}

/// The smallest outpoint in the order of the serialised bytes, in which the output index is little-endian.
pub(crate) fn smallest_outpoint(outpoints: impl Iterator<Item = OutPoint>) -> Option<[u8; 36]> {
    outpoints.map(serialize_outpoint).min()
}

/// The hash that is `input_hash` where it is a scalar below the group order.
pub(crate) fn input_digest(smallest_outpoint: &[u8; 36], compressed_sum: &[u8; 33]) -> [u8; 32] {
    let mut engine = InputsHash::engine();
    engine.input(smallest_outpoint);
    engine.input(compressed_sum);
    InputsHash::from_engine(engine).to_byte_array()
}

/// The tweak of label `m` = hash(b_scan ‖ m). `None` if the hash is not a valid scalar (probability 2^-128).
pub(crate) fn label_tweak(scan: &SecretKey, m: u32) -> Option<SecretKey> {
    let mut engine = LabelHash::engine();
    engine.input(scan.as_ref());
    engine.input(&m.to_be_bytes());
    SecretKey::from_slice(LabelHash::from_engine(engine).as_byte_array()).ok()
}

/// `t_k` = hash(compressed shared secret ‖ k). `None` if the hash is not a valid scalar (probability 2^-128).
pub(crate) fn output_tweak(shared_secret: &[u8; 33], k: u32) -> Option<SecretKey> {
    SecretKey::from_slice(&output_hash(shared_secret, k)).ok()
}

/// The hash that is `t_k` where it is a valid scalar.
pub(crate) fn output_hash(shared_secret: &[u8; 33], k: u32) -> [u8; 32] {
    let mut engine = SharedSecretHash::engine();
    engine.input(shared_secret);
    engine.input(&k.to_be_bytes());
    SharedSecretHash::from_engine(engine).to_byte_array()
}

fn serialize_outpoint(outpoint: OutPoint) -> [u8; 36] {
    let mut bytes = [0; 36];
    bytes[..32].copy_from_slice(outpoint.txid.as_byte_array());
    bytes[32..].copy_from_slice(&outpoint.vout.to_le_bytes());
    bytes
}
