//! An outpoint as a key of a table.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};

pub(crate) fn outpoint_key(outpoint: OutPoint) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(&outpoint.txid.to_byte_array());
    key[32..].copy_from_slice(&outpoint.vout.to_be_bytes());
    key
}

pub(crate) fn outpoint_from(key: &[u8; 36]) -> OutPoint {
    let (mut txid, mut vout) = ([0; 32], [0; 4]);
    txid.copy_from_slice(&key[..32]);
    vout.copy_from_slice(&key[32..]);
    OutPoint {
        txid: Txid::from_byte_array(txid),
        vout: u32::from_be_bytes(vout),
    }
}
