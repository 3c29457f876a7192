//! Verifies signatures of the four kinds of single-key inputs.

use bitcoin::hashes::{Hash, hash160};
use bitcoin::script::Instruction;
use bitcoin::secp256k1::Message;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{PublicKey, ScriptBuf, Transaction, TxIn, TxOut, XOnlyPublicKey, ecdsa, taproot};

use super::accept::Rejection;
use crate::curve::SECP;

/// Checks every input. `prevouts`: their spent outputs, in order.
pub(super) fn signatures(tx: &Transaction, prevouts: &[TxOut]) -> Result<(), Rejection> {
    let mut cache = SighashCache::new(tx);
    for (index, (input, prevout)) in tx.input.iter().zip(prevouts).enumerate() {
        let script = &prevout.script_pubkey;
        let verified = if script.is_p2tr() {
            key_path(&mut cache, index, input, prevouts)
        } else if script.is_p2wpkh() {
            segwit_v0(&mut cache, index, input, prevout, script, &[])
        } else if script.is_p2sh() && pushes_p2wpkh(input) {
            let program = ScriptBuf::from(input.script_sig.as_bytes().get(1..).unwrap_or_default().to_vec());
            if ScriptBuf::new_p2sh(&program.script_hash()) == *script {
                segwit_v0(&mut cache, index, input, prevout, &program, input.script_sig.as_bytes())
            } else {
                Err(Fault::Wrong("the redeem script is not the one that was paid"))
            }
        } else if script.is_p2pkh() {
            legacy(&cache, index, input, prevout)
        } else {
            Err(Fault::Unknown(format!("the script {script:x}")))
        };
        verified.map_err(|fault| match fault {
            Fault::Wrong(reason) => Rejection::Script { input: index, reason },
            Fault::Unknown(found) => Rejection::NotVerifiable { input: index, found },
        })?;
    }
    Ok(())
}

enum Fault {
    Wrong(&'static str),
    Unknown(String),
}

fn pushes_p2wpkh(input: &TxIn) -> bool {
    matches!(input.script_sig.as_bytes(), [22, program @ ..] if bitcoin::Script::from_bytes(program).is_p2wpkh())
}

fn key_path(
    cache: &mut SighashCache<&Transaction>,
    index: usize,
    input: &TxIn,
    prevouts: &[TxOut],
) -> Result<(), Fault> {
    if !input.script_sig.is_empty() {
        return Err(Fault::Wrong("a witness program is spent with a scriptSig"));
    }
    if input.witness.len() != 1 {
        return Err(Fault::Unknown("a P2TR output by script, or with an annex".into()));
    }
    let encoded = input.witness.nth(0).unwrap_or_default();
    let signature = taproot::Signature::from_slice(encoded)
        .map_err(|_| Fault::Wrong("the signature is neither 64 nor 65 bytes of a known type"))?;
    if encoded.len() == 65 && signature.sighash_type == TapSighashType::Default {
        return Err(Fault::Wrong("the default type of signature is written out (BIP341)"));
    }
    let script = prevouts.get(index).map(|prevout| prevout.script_pubkey.as_bytes());
    let key = script.and_then(|script| XOnlyPublicKey::from_slice(script.get(2..)?).ok());
    let key = key.ok_or(Fault::Wrong("the output's key is not a point on the curve"))?;
    let hash = cache
        .taproot_key_spend_signature_hash(index, &Prevouts::All(prevouts), signature.sighash_type)
        .map_err(|_| Fault::Wrong("the signature covers an output that is not there"))?;
    SECP.verify_schnorr(&signature.signature, &Message::from_digest(hash.to_byte_array()), &key)
        .map_err(|_| WRONG_SIGNATURE)
}

/// P2WPKH, bare or wrapped: `program` is the witness program, `script_sig` the required scriptSig of the input.
fn segwit_v0(
    cache: &mut SighashCache<&Transaction>,
    index: usize,
    input: &TxIn,
    prevout: &TxOut,
    program: &bitcoin::Script,
    script_sig: &[u8],
) -> Result<(), Fault> {
    if input.script_sig.as_bytes() != script_sig {
        return Err(Fault::Wrong("a witness program is spent with a scriptSig"));
    }
    let (Some(signature), Some(key), 2) = (input.witness.nth(0), input.witness.nth(1), input.witness.len()) else {
        return Err(Fault::Wrong("the witness is not a signature and a key"));
    };
    let key = PublicKey::from_slice(key).map_err(|_| WRONG_KEY)?;
    if !key.compressed || program.as_bytes().get(2..) != Some(&hash160::Hash::hash(&key.to_bytes()).to_byte_array()) {
        return Err(WRONG_KEY);
    }
    let signature = ecdsa::Signature::from_slice(signature).map_err(|_| WRONG_ENCODING)?;
    let hash = cache
        .p2wpkh_signature_hash(index, program, prevout.value, signature.sighash_type)
        .map_err(|_| WRONG_SIGNATURE)?;
    let message = Message::from_digest(hash.to_byte_array());
    key.verify(&SECP, &message, &signature).map_err(|_| WRONG_SIGNATURE)
}

fn legacy(cache: &SighashCache<&Transaction>, index: usize, input: &TxIn, prevout: &TxOut) -> Result<(), Fault> {
    if !input.witness.is_empty() {
        return Err(Fault::Wrong("a legacy input has a witness"));
    }
    let mut pushes = input.script_sig.instructions_minimal();
    let (Some(Ok(Instruction::PushBytes(signature))), Some(Ok(Instruction::PushBytes(key))), None) =
        (pushes.next(), pushes.next(), pushes.next())
    else {
        return Err(Fault::Wrong("the scriptSig is not a signature and a key"));
    };
    let wanted = prevout.script_pubkey.as_bytes().get(3..23);
    if wanted != Some(&hash160::Hash::hash(key.as_bytes()).to_byte_array()) {
        return Err(WRONG_KEY);
    }
    let key = PublicKey::from_slice(key.as_bytes()).map_err(|_| WRONG_KEY)?;
    let signature = ecdsa::Signature::from_slice(signature.as_bytes()).map_err(|_| WRONG_ENCODING)?;
    let hash = cache
        .legacy_signature_hash(index, &prevout.script_pubkey, signature.sighash_type.to_u32())
        .map_err(|_| WRONG_SIGNATURE)?;
    let message = Message::from_digest(hash.to_byte_array());
    key.verify(&SECP, &message, &signature).map_err(|_| WRONG_SIGNATURE)
}

const WRONG_KEY: Fault = Fault::Wrong("the key is not the one that was paid");
const WRONG_ENCODING: Fault = Fault::Wrong("the signature is not strictly encoded");
const WRONG_SIGNATURE: Fault = Fault::Wrong("the signature does not match");
