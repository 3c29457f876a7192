//! From a transaction and its prevouts to the input of a scanner (BIP352 "Inputs For Shared Secret Derivation").

use bitcoin::hashes::{Hash as _, hash160};
use bitcoin::secp256k1::{PublicKey, Scalar};
use bitcoin::{Amount, Script, Transaction, TxOut, Txid, Witness, WitnessVersion};

use crate::curve::SECP;
use crate::hash;

/// The point H of BIP341 whose discrete logarithm is unknown: an input with this internal key has no private key to
/// derive from.
const NUMS_H: [u8; 32] = [
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07, 0x8a, 0x5a,
    0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0,
];
/// First byte of an annex (BIP341).
const ANNEX_PREFIX: u8 = 0x50;
/// Length of a compressed public key in bytes.
pub(crate) const COMPRESSED: usize = 33;

/// An eligible transaction (BIP352): the input of a scan for any number of wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EligibleTx {
    /// Transaction id.
    pub txid: Txid,
    /// `input_hash·A`.
    pub tweak: PublicKey,
    /// Every taproot output, in the transaction's order.
    pub outputs: Vec<TaprootOutput>,
}

/// A taproot output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaprootOutput {
    /// Index in the transaction.
    pub vout: u32,
    /// X coordinate as in the script. It may be off the curve: consensus does not check it.
    pub key: [u8; 32],
    /// Value.
    pub amount: Amount,
}

impl EligibleTx {
    /// `None` for a transaction that is not eligible; see [`tweak`].
    pub fn from_tx(tx: &Transaction, prevouts: &[TxOut]) -> Option<Self> {
        Some(Self::with_tweak(tx, tweak(tx, prevouts)?))
    }

    /// With a given tweak.
    pub fn with_tweak(tx: &Transaction, tweak: PublicKey) -> Self {
        let outputs = (0..).zip(&tx.output).filter_map(|(vout, output)| {
            let key = taproot_key(&output.script_pubkey)?;
            Some(TaprootOutput {
                vout,
                key,
                amount: output.value,
            })
        });
        Self {
            txid: tx.compute_txid(),
            tweak,
            outputs: outputs.collect(),
        }
    }
}

/// The transaction's tweak, `input_hash·A`.
///
/// `prevouts` has one entry for each input, in order. `None` if nothing can be derived: a coinbase, no taproot output,
/// an input of witness version 2 or later, no eligible input, input keys that cancel out, an input hash beyond the
/// group order, or a number of prevouts other than that of the inputs.
pub fn tweak(tx: &Transaction, prevouts: &[TxOut]) -> Option<PublicKey> {
    let (sum, input_hash) = tweak_parts(tx, prevouts)?;
    sum.mul_tweak(&SECP, &input_hash).ok()
}

/// Whether [`tweak`] returns one, without its multiplication.
pub fn has_tweak(tx: &Transaction, prevouts: &[TxOut]) -> bool {
    tweak_parts(tx, prevouts).is_some()
}

fn tweak_parts(tx: &Transaction, prevouts: &[TxOut]) -> Option<(PublicKey, Scalar)> {
    if !pays_taproot(tx) {
        return None;
    }
    let sum = public_key_sum(tx, prevouts)?;
    let input_hash = hash::input_hash(tx.input.iter().map(|input| input.previous_output), &sum)?;
    Some((sum, input_hash))
}

/// Whether an output could be a silent payment.
pub(crate) fn pays_taproot(tx: &Transaction) -> bool {
    tx.output.iter().any(|output| output.script_pubkey.is_p2tr())
}

/// `A`, the sum of the eligible inputs' public keys. `None` as for [`tweak`], but independently of the outputs.
pub fn public_key_sum(tx: &Transaction, prevouts: &[TxOut]) -> Option<PublicKey> {
    let keys: Vec<PublicKey> = input_keys(tx, prevouts)?
        .filter_map(|key| PublicKey::from_slice(&key).ok())
        .collect();
    // In one call: intermediate sums may be infinity.
    PublicKey::combine_keys(&keys.iter().collect::<Vec<_>>()).ok()
}

/// The keys that the inputs add to the sum, compressed, as in the transaction: an invalid one adds nothing. `None` for
/// a transaction without a sum, independently of the keys.
pub(crate) fn input_keys<'a>(
    tx: &'a Transaction,
    prevouts: &'a [TxOut],
) -> Option<impl Iterator<Item = [u8; COMPRESSED]> + 'a> {
    let is_newer = |prevout: &TxOut| prevout.script_pubkey.witness_version() > Some(WitnessVersion::V1);
    if tx.is_coinbase() || tx.input.len() != prevouts.len() || prevouts.iter().any(is_newer) {
        return None;
    }
    let inputs = tx.input.iter().zip(prevouts);
    Some(inputs.filter_map(|(input, prevout)| input_key(&prevout.script_pubkey, &input.script_sig, &input.witness)))
}

/// The public key that an input adds to the sum, `None` for an input that adds nothing.
///
/// Eligible are P2TR, P2WPKH, P2SH-P2WPKH and P2PKH, with compressed keys only. The input is assumed to be valid: the
/// node has checked that key and redeem script match the hash in the prevout.
pub fn input_public_key(prevout_script: &Script, script_sig: &Script, witness: &Witness) -> Option<PublicKey> {
    PublicKey::from_slice(&input_key(prevout_script, script_sig, witness)?).ok()
}

fn input_key(prevout_script: &Script, script_sig: &Script, witness: &Witness) -> Option<[u8; COMPRESSED]> {
    if let Some(key) = taproot_key(prevout_script) {
        taproot_input_key(&key, witness)
    } else if prevout_script.is_p2wpkh() || (prevout_script.is_p2sh() && pushes_p2wpkh(script_sig)) {
        // The length rules out uncompressed and hybrid encodings.
        witness.last()?.try_into().ok()
    } else if prevout_script.is_p2pkh() {
        p2pkh_input_key(prevout_script, script_sig)
    } else {
        None
    }
}

/// The x-only key of a P2TR script.
fn taproot_key(script: &Script) -> Option<[u8; 32]> {
    if script.is_p2tr() {
        script.as_bytes().get(2..)?.try_into().ok()
    } else {
        None
    }
}

/// A taproot output's key, unless it is spent by a script path whose internal key is H. A key off the curve is
/// unspendable and adds nothing.
fn taproot_input_key(key: &[u8; 32], witness: &Witness) -> Option<[u8; COMPRESSED]> {
    let has_annex = witness.len() > 1 && witness.last()?.first() == Some(&ANNEX_PREFIX);
    let stack_size = witness.len() - usize::from(has_annex);
    let control_block = witness.nth(stack_size.checked_sub(1)?)?;
    if stack_size > 1 && control_block.get(1..33) == Some(&NUMS_H) {
        return None;
    }
    // The point whose y coordinate is even (BIP340).
    let mut compressed = [2; COMPRESSED];
    compressed[1..].copy_from_slice(key);
    Some(compressed)
}

/// Whether the script is one push of a P2WPKH program, the only form in which consensus lets P2SH wrap it.
fn pushes_p2wpkh(script_sig: &Script) -> bool {
    matches!(script_sig.as_bytes(), [22, program @ ..] if Script::from_bytes(program).is_p2wpkh())
}

/// The key in a possibly malleated script: the 33 bytes whose hash is that of the prevout, searched from the end, where
/// the standard form has them.
fn p2pkh_input_key(prevout_script: &Script, script_sig: &Script) -> Option<[u8; COMPRESSED]> {
    let wanted = prevout_script.as_bytes().get(3..23)?;
    script_sig
        .as_bytes()
        .windows(COMPRESSED)
        .rev()
        // Checking the prefix first avoids nearly all hashes of a long script.
        .filter(|window| matches!(window.first(), Some(2 | 3)))
        .find(|window| hash160::Hash::hash(window).as_byte_array() == wanted)?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests;
