//! A spendable output and its key.

use bitcoin::key::{Keypair, TapTweak};
use bitcoin::secp256k1::{SecretKey, rand};
use bitcoin::{Amount, CompressedPublicKey, OutPoint, ScriptBuf, Transaction, TxOut};
use sdk_relay_bip352::send::{Input, InputKey};

use crate::curve::SECP;

/// The eligible kinds of input of a silent payment (BIP352 "Inputs For Shared Secret Derivation").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputKind {
    /// Witness version 0, one key.
    P2wpkh,
    /// Legacy, one key by its hash.
    P2pkh,
    /// P2WPKH wrapped in P2SH.
    P2shP2wpkh,
    /// Witness version 1, spent by its key (BIP86).
    P2tr,
}

impl InputKind {
    /// All of them.
    pub const ALL: [InputKind; 4] = [
        InputKind::P2wpkh,
        InputKind::P2pkh,
        InputKind::P2shP2wpkh,
        InputKind::P2tr,
    ];
}

/// An output with the key that spends it.
#[derive(Clone, Debug)]
pub struct Coin {
    /// How it is locked.
    pub kind: InputKind,
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it holds.
    pub txout: TxOut,
    /// The key of its script; for P2TR the internal key, before the tweak.
    pub(super) key: SecretKey,
}

impl Coin {
    /// A new key of this kind, for a coin to be created.
    pub(super) fn template(kind: InputKind) -> Coin {
        let key = SecretKey::new(&mut rand::thread_rng());
        Coin {
            kind,
            outpoint: OutPoint::null(),
            txout: TxOut::NULL,
            key,
        }
    }

    pub(super) fn public_key(&self) -> CompressedPublicKey {
        CompressedPublicKey(self.key.public_key(&SECP))
    }

    /// The keypair of the output itself: for P2TR after the tweak of BIP86.
    pub(super) fn output_keypair(&self) -> Keypair {
        let keypair = Keypair::from_secret_key(&SECP, &self.key);
        match self.kind {
            InputKind::P2tr => keypair.tap_tweak(&SECP, None).to_keypair(),
            InputKind::P2wpkh | InputKind::P2pkh | InputKind::P2shP2wpkh => keypair,
        }
    }

    pub(super) fn script_pubkey(&self) -> ScriptBuf {
        let key = self.public_key();
        match self.kind {
            InputKind::P2wpkh => ScriptBuf::new_p2wpkh(&key.wpubkey_hash()),
            InputKind::P2pkh => ScriptBuf::new_p2pkh(&key.pubkey_hash()),
            InputKind::P2shP2wpkh => ScriptBuf::new_p2sh(&self.witness_program().script_hash()),
            InputKind::P2tr => ScriptBuf::new_p2tr(&SECP, self.key.x_only_public_key(&SECP).0, None),
        }
    }

    /// The P2WPKH script of the key: the script of a P2WPKH output, revealed by a P2SH-P2WPKH input.
    pub(super) fn witness_program(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&self.public_key().wpubkey_hash())
    }

    pub(super) fn txout_of(&self, value: Amount) -> TxOut {
        TxOut {
            value,
            script_pubkey: self.script_pubkey(),
        }
    }

    /// The outputs of `tx` that this key locks, as coins.
    pub(super) fn find_in(&self, tx: &Transaction) -> Vec<Coin> {
        let (txid, script) = (tx.compute_txid(), self.script_pubkey());
        let mine = (0..).zip(&tx.output).filter(|(_, out)| out.script_pubkey == script);
        mine.map(|(vout, out)| Coin {
            outpoint: OutPoint { txid, vout },
            txout: out.clone(),
            ..self.clone()
        })
        .collect()
    }

    pub(super) fn bip352_input(&self) -> Input {
        let key = self.output_keypair().secret_key();
        let key = match self.kind {
            InputKind::P2tr => InputKey::Taproot(key),
            InputKind::P2wpkh | InputKind::P2pkh | InputKind::P2shP2wpkh => InputKey::Ecdsa(key),
        };
        Input {
            outpoint: self.outpoint,
            key,
        }
    }
}
