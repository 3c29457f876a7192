//! Inputs of every kind, as a node that has checked them would hand them over.

use bitcoin::hashes::{Hash as _, hash160};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{Keypair, PublicKey, Secp256k1, SecretKey};
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, PubkeyHash, ScriptBuf, ScriptHash, Sequence, Transaction, TxIn, TxOut, Txid,
    WScriptHash, Witness,
};
use proptest::prelude::*;
use proptest::sample::select;
use sdk_relay_bip352::send::{Input, InputKey};

use super::secret_key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TaprootKeyPath,
    TaprootScriptPath,
    TaprootNums,
    P2wpkh,
    P2shP2wpkh,
    P2pkh,
    P2pkhMalleated,
    P2pkhUncompressed,
    P2wpkhUncompressed,
    P2wsh,
    P2sh,
    Anchor,
    Bare,
}

const KINDS: [Kind; 13] = [
    Kind::TaprootKeyPath,
    Kind::TaprootScriptPath,
    Kind::TaprootNums,
    Kind::P2wpkh,
    Kind::P2shP2wpkh,
    Kind::P2pkh,
    Kind::P2pkhMalleated,
    Kind::P2pkhUncompressed,
    Kind::P2wpkhUncompressed,
    Kind::P2wsh,
    Kind::P2sh,
    Kind::Anchor,
    Kind::Bare,
];

/// H of BIP341.
const NUMS_H: &str = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";

#[derive(Clone, Debug)]
pub(crate) struct TestInput {
    kind: Kind,
    key: SecretKey,
    outpoint: OutPoint,
    /// What a signature, a script or an annex is made of.
    junk: Vec<u8>,
    has_annex: bool,
}

pub(crate) fn inputs() -> impl Strategy<Value = Vec<TestInput>> {
    let input = (
        select(&KINDS[..]),
        secret_key(),
        any::<[u8; 32]>(),
        any::<u32>(),
        junk(),
        any::<bool>(),
    );
    let input = input.prop_map(|(kind, key, txid, vout, junk, has_annex)| {
        let outpoint = OutPoint::new(Txid::from_byte_array(txid), vout);
        TestInput {
            kind,
            key,
            outpoint,
            junk,
            has_annex,
        }
    });
    prop::collection::vec(input, 1..6)
}

fn junk() -> impl Strategy<Value = Vec<u8>> {
    // A first byte that is no annex prefix, as in a signature or an empty push.
    prop::collection::vec(any::<u8>(), 64..73).prop_map(|mut junk| {
        junk[0] = 0x30;
        junk
    })
}

impl TestInput {
    /// The same outpoint with the negated key, so that both cancel out where y parity counts.
    pub(crate) fn negated(&self) -> Self {
        Self {
            key: self.key.negate(),
            ..self.clone()
        }
    }

    pub(crate) fn spent(&self) -> Input {
        let key = match self.kind {
            Kind::TaprootKeyPath | Kind::TaprootScriptPath => InputKey::Taproot(self.key),
            Kind::P2wpkh | Kind::P2shP2wpkh | Kind::P2pkh | Kind::P2pkhMalleated => InputKey::Ecdsa(self.key),
            _ => InputKey::Ineligible,
        };
        Input {
            outpoint: self.outpoint,
            key,
        }
    }

    pub(crate) fn prevout(&self) -> TxOut {
        let key = self.public_key();
        let hash = hash160::Hash::hash(&key.serialize());
        let uncompressed = hash160::Hash::hash(&key.serialize_uncompressed());
        let script_pubkey = match self.kind {
            Kind::TaprootKeyPath | Kind::TaprootScriptPath | Kind::TaprootNums => {
                let x_only = key.x_only_public_key().0.serialize();
                ScriptBuf::from_bytes([&[0x51, 0x20], &x_only[..]].concat())
            }
            Kind::P2wpkh => ScriptBuf::new_p2wpkh(&CompressedPublicKey(key).wpubkey_hash()),
            Kind::P2wpkhUncompressed => ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(uncompressed)),
            Kind::P2shP2wpkh => ScriptBuf::new_p2sh(&self.redeem_script().script_hash()),
            Kind::P2pkh | Kind::P2pkhMalleated => ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(hash)),
            Kind::P2pkhUncompressed => ScriptBuf::new_p2pkh(&PubkeyHash::from_raw_hash(uncompressed)),
            Kind::P2wsh => ScriptBuf::new_p2wsh(&WScriptHash::hash(&self.junk)),
            Kind::P2sh => ScriptBuf::new_p2sh(&ScriptHash::hash(&self.junk)),
            Kind::Anchor => ScriptBuf::from_bytes(vec![0x51, 0x02, 0x4e, 0x73]),
            Kind::Bare => Builder::new()
                .push_key(&key.into())
                .push_opcode(bitcoin::opcodes::all::OP_CHECKSIG)
                .into_script(),
        };
        TxOut {
            value: Amount::from_sat(10_000),
            script_pubkey,
        }
    }

    pub(crate) fn tx_in(&self) -> TxIn {
        let (script_sig, witness) = (self.script_sig(), self.witness());
        TxIn {
            previous_output: self.outpoint,
            script_sig,
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&witness),
        }
    }

    pub(crate) fn script_sig(&self) -> ScriptBuf {
        let key = self.public_key();
        let builder = Builder::new();
        match self.kind {
            Kind::P2pkh => builder.push_slice(push(&self.junk)).push_key(&key.into()).into_script(),
            Kind::P2pkhMalleated => builder
                .push_slice(push(&self.junk))
                .push_key(&key.into())
                .push_slice(push(&[2; 40]))
                .push_opcode(bitcoin::opcodes::all::OP_DROP)
                .into_script(),
            Kind::P2pkhUncompressed => builder
                .push_slice(push(&self.junk))
                .push_slice(key.serialize_uncompressed())
                .into_script(),
            Kind::P2shP2wpkh => builder.push_slice(push(self.redeem_script().as_bytes())).into_script(),
            Kind::P2sh | Kind::Bare => builder.push_slice(push(&self.junk)).into_script(),
            _ => ScriptBuf::new(),
        }
    }

    pub(crate) fn witness(&self) -> Vec<Vec<u8>> {
        let key = self.public_key();
        let nums: Vec<u8> = bitcoin::hex::FromHex::from_hex(NUMS_H).expect("hex");
        let control_block = |internal_key: &[u8]| [&[0xc0], internal_key, &[7; 32]].concat();
        let mut witness = match self.kind {
            Kind::TaprootKeyPath => vec![self.junk.clone()],
            // Any internal key but H will do.
            Kind::TaprootScriptPath => vec![vec![1], self.junk.clone(), control_block(&[9; 32])],
            Kind::TaprootNums => vec![vec![1], self.junk.clone(), control_block(&nums)],
            Kind::P2wpkh | Kind::P2shP2wpkh => vec![self.junk.clone(), key.serialize().to_vec()],
            Kind::P2wpkhUncompressed => vec![self.junk.clone(), key.serialize_uncompressed().to_vec()],
            Kind::P2wsh => vec![vec![1], self.junk.clone()],
            _ => vec![],
        };
        if self.has_annex
            && matches!(
                self.kind,
                Kind::TaprootKeyPath | Kind::TaprootScriptPath | Kind::TaprootNums
            )
        {
            witness.push([&[0x50], &self.junk[..]].concat());
        }
        witness
    }

    fn public_key(&self) -> PublicKey {
        Keypair::from_secret_key(&Secp256k1::new(), &self.key).public_key()
    }

    fn redeem_script(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.public_key()).wpubkey_hash())
    }
}

/// A transaction with a taproot output for each key.
pub(crate) fn transaction(inputs: &[TestInput], outputs: &[[u8; 32]]) -> (Transaction, Vec<TxOut>) {
    let output = |key: &[u8; 32]| {
        let script_pubkey = ScriptBuf::from_bytes([&[0x51, 0x20], &key[..]].concat());
        TxOut {
            value: Amount::from_sat(1_000),
            script_pubkey,
        }
    };
    let tx = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: inputs.iter().map(TestInput::tx_in).collect(),
        output: outputs.iter().map(output).collect(),
    };
    (tx, inputs.iter().map(TestInput::prevout).collect())
}

fn push(bytes: &[u8]) -> PushBytesBuf {
    bytes.to_vec().try_into().expect("short enough to be pushed")
}
