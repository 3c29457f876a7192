//! Signatures for each kind of input.

use bitcoin::ecdsa;
use bitcoin::hashes::Hash;
use bitcoin::script::PushBytesBuf;
use bitcoin::secp256k1::Message;
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::{ScriptBuf, Transaction, TxOut, Witness, taproot};

use super::coin::{Coin, InputKind};
use crate::curve::SECP;

/// `tx` with every input signed. `coins`: its spent coins, in the order of its inputs.
pub(super) fn signed(mut tx: Transaction, coins: &[Coin]) -> Transaction {
    let prevouts: Vec<_> = coins.iter().map(|coin| coin.txout.clone()).collect();
    let unsigned = tx.clone();
    let mut cache = SighashCache::new(&unsigned);
    for (index, coin) in coins.iter().enumerate() {
        let (script_sig, witness) = match coin.kind {
            InputKind::P2pkh => legacy(&cache, index, coin),
            InputKind::P2wpkh => (ScriptBuf::new(), segwit_v0(&mut cache, index, coin)),
            InputKind::P2shP2wpkh => {
                let program = PushBytesBuf::try_from(coin.witness_program().into_bytes()).expect("22 bytes");
                (
                    ScriptBuf::builder().push_slice(program).into_script(),
                    segwit_v0(&mut cache, index, coin),
                )
            }
            InputKind::P2tr => (ScriptBuf::new(), key_path(&mut cache, index, coin, &prevouts)),
        };
        tx.input[index].script_sig = script_sig;
        tx.input[index].witness = witness;
    }
    tx
}

fn legacy(cache: &SighashCache<&Transaction>, index: usize, coin: &Coin) -> (ScriptBuf, Witness) {
    let hash = cache.legacy_signature_hash(index, &coin.txout.script_pubkey, EcdsaSighashType::All.to_u32());
    let signature = ecdsa_signature(coin, hash.expect("an index of an input").to_byte_array());
    let script = ScriptBuf::builder()
        .push_slice(signature.serialize())
        .push_key(&coin.public_key().into());
    (script.into_script(), Witness::new())
}

fn segwit_v0(cache: &mut SighashCache<&Transaction>, index: usize, coin: &Coin) -> Witness {
    let program = coin.witness_program();
    let hash = cache.p2wpkh_signature_hash(index, &program, coin.txout.value, EcdsaSighashType::All);
    let signature = ecdsa_signature(coin, hash.expect("a P2WPKH script").to_byte_array());
    Witness::p2wpkh(&signature, &coin.public_key().0)
}

fn key_path(cache: &mut SighashCache<&Transaction>, index: usize, coin: &Coin, prevouts: &[TxOut]) -> Witness {
    let hash = cache.taproot_key_spend_signature_hash(index, &Prevouts::All(prevouts), TapSighashType::Default);
    let message = Message::from_digest(hash.expect("a prevout for each input").to_byte_array());
    let signature = SECP.sign_schnorr(&message, &coin.output_keypair());
    Witness::p2tr_key_spend(&taproot::Signature {
        signature,
        sighash_type: TapSighashType::Default,
    })
}

fn ecdsa_signature(coin: &Coin, digest: [u8; 32]) -> ecdsa::Signature {
    let signature = SECP.sign_ecdsa(&Message::from_digest(digest), &coin.key);
    ecdsa::Signature {
        signature,
        sighash_type: EcdsaSighashType::All,
    }
}
