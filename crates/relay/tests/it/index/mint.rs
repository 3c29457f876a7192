//! Coins of every spendable kind, whether or not their keys are eligible in a silent payment (BIP352 "Inputs For Shared
//! Secret Derivation").

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::key::{Keypair, TapTweak};
use bitcoin::opcodes::all::OP_DROP;
use bitcoin::opcodes::{OP_0, OP_TRUE};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey, XOnlyPublicKey, rand};
use bitcoin::sighash::{Annex, EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{LeafVersion, TaprootBuilder, TaprootSpendInfo};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, PublicKey, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, ecdsa,
    taproot,
};
use testkit::{Bitcoind, InputKind, Payer, Recipient};

/// H of BIP341.
const NUMS_H: &str = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0";
const ANNEX: [u8; 4] = [0x50, 1, 2, 3];
/// Value of a coin.
pub(crate) const COIN: Amount = Amount::from_sat(40_000);
/// Outputs of one funding transaction: together they are worth less than a coin of the payer.
const AT_ONCE: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wpkh,
    WrappedWpkh,
    Pkh,
    PkhMalleated,
    PkhUncompressed,
    TaprootKey,
    TaprootKeyAnnex,
    TaprootScript,
    TaprootScriptAnnex,
    TaprootNums,
    TaprootNumsAnnex,
    Wsh,
    Sh,
    Future,
}

impl Kind {
    pub(crate) const ALL: [Kind; 14] = [
        Kind::Wpkh,
        Kind::WrappedWpkh,
        Kind::Pkh,
        Kind::PkhMalleated,
        Kind::PkhUncompressed,
        Kind::TaprootKey,
        Kind::TaprootKeyAnnex,
        Kind::TaprootScript,
        Kind::TaprootScriptAnnex,
        Kind::TaprootNums,
        Kind::TaprootNumsAnnex,
        Kind::Wsh,
        Kind::Sh,
        Kind::Future,
    ];

    /// Whether its key is eligible.
    pub(crate) fn counts(self) -> bool {
        !matches!(
            self,
            Kind::PkhUncompressed | Kind::TaprootNums | Kind::TaprootNumsAnnex | Kind::Wsh | Kind::Sh | Kind::Future
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Coin {
    kind: Kind,
    key: SecretKey,
    outpoint: OutPoint,
}

pub(crate) struct Mint {
    secp: Secp256k1<All>,
}

impl Mint {
    pub(crate) fn new() -> Self {
        Self { secp: Secp256k1::new() }
    }

    /// Confirmed coins of these kinds; those with a key given have that.
    pub(crate) async fn coins(
        &self,
        node: &Bitcoind,
        payer: &mut Payer,
        wanted: &[(Kind, Option<SecretKey>)],
    ) -> Vec<Coin> {
        let mut coins = Vec::new();
        for wanted in wanted.chunks(AT_ONCE) {
            let made: Vec<Coin> = wanted
                .iter()
                .map(|(kind, key)| Coin {
                    kind: *kind,
                    key: key.unwrap_or_else(|| SecretKey::new(&mut rand::thread_rng())),
                    outpoint: OutPoint::null(),
                })
                .collect();
            let to: Vec<_> = made
                .iter()
                .map(|coin| Recipient::Script(self.script(coin), COIN))
                .collect();
            let tx = payer.pay(&[InputKind::P2wpkh], &to);
            node.mine_with(std::slice::from_ref(&tx)).await;
            let txid = tx.compute_txid();
            coins.extend((0..).zip(made).map(|(vout, coin)| Coin {
                outpoint: OutPoint::new(txid, vout),
                ..coin
            }));
        }
        coins
    }

    /// A transaction that spends these coins, valid by consensus. Its value is divided among the outputs.
    pub(crate) fn spend(&self, coins: &[Coin], outputs: Vec<ScriptBuf>) -> Transaction {
        let each = (COIN * coins.len() as u64 - Amount::from_sat(5_000)) / outputs.len() as u64;
        let output = |script_pubkey| TxOut {
            value: each,
            script_pubkey,
        };
        let input = |coin: &Coin| TxIn {
            previous_output: coin.outpoint,
            sequence: Sequence::MAX,
            ..TxIn::default()
        };
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: coins.iter().map(input).collect(),
            output: outputs.into_iter().map(output).collect(),
        };
        let prevouts: Vec<TxOut> = coins
            .iter()
            .map(|coin| TxOut {
                value: COIN,
                script_pubkey: self.script(coin),
            })
            .collect();
        let unsigned = tx.clone();
        for (index, coin) in coins.iter().enumerate() {
            let (script_sig, witness) = self.unlock(&unsigned, index, coin, &prevouts);
            tx.input[index].script_sig = script_sig;
            tx.input[index].witness = witness;
        }
        tx
    }

    fn public(&self, coin: &Coin) -> PublicKey {
        let inner = coin.key.public_key(&self.secp);
        match coin.kind {
            Kind::PkhUncompressed => PublicKey::new_uncompressed(inner),
            _ => PublicKey::new(inner),
        }
    }

    fn wpkh(&self, coin: &Coin) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(coin.key.public_key(&self.secp)).wpubkey_hash())
    }

    fn tree(&self, coin: &Coin) -> TaprootSpendInfo {
        let internal = match coin.kind {
            Kind::TaprootNums | Kind::TaprootNumsAnnex => NUMS_H.parse().unwrap(),
            _ => coin.key.x_only_public_key(&self.secp).0,
        };
        // A separate leaf for each coin, so that all output keys differ.
        let builder = TaprootBuilder::new().add_leaf(0, self.leaf(coin)).unwrap();
        builder.finalize(&self.secp, internal).unwrap()
    }

    fn leaf(&self, coin: &Coin) -> ScriptBuf {
        let own = PushBytesBuf::from(coin.key.x_only_public_key(&self.secp).0.serialize());
        Builder::new()
            .push_slice(own)
            .push_opcode(OP_DROP)
            .push_opcode(OP_TRUE)
            .into_script()
    }

    fn script(&self, coin: &Coin) -> ScriptBuf {
        match coin.kind {
            Kind::Wpkh => self.wpkh(coin),
            Kind::WrappedWpkh => ScriptBuf::new_p2sh(&self.wpkh(coin).script_hash()),
            Kind::Pkh | Kind::PkhMalleated | Kind::PkhUncompressed => {
                ScriptBuf::new_p2pkh(&self.public(coin).pubkey_hash())
            }
            Kind::TaprootKey | Kind::TaprootKeyAnnex => {
                ScriptBuf::new_p2tr(&self.secp, coin.key.x_only_public_key(&self.secp).0, None)
            }
            Kind::TaprootScript | Kind::TaprootScriptAnnex | Kind::TaprootNums | Kind::TaprootNumsAnnex => {
                ScriptBuf::new_p2tr_tweaked(self.tree(coin).output_key())
            }
            Kind::Wsh => self.leaf(coin).to_p2wsh(),
            Kind::Sh => self.leaf(coin).to_p2sh(),
            // Witness version 2, which anyone can spend at present.
            Kind::Future => {
                let program = hash160::Hash::hash(&coin.key.secret_bytes());
                ScriptBuf::from_bytes([&[0x52, 0x14], &program.to_byte_array()[..]].concat())
            }
        }
    }

    fn unlock(&self, tx: &Transaction, index: usize, coin: &Coin, prevouts: &[TxOut]) -> (ScriptBuf, Witness) {
        let mut cache = SighashCache::new(tx);
        let ecdsa = |digest: [u8; 32]| ecdsa::Signature {
            signature: self.secp.sign_ecdsa(&Message::from_digest(digest), &coin.key),
            sighash_type: EcdsaSighashType::All,
        };
        let push = |bytes: Vec<u8>| PushBytesBuf::try_from(bytes).unwrap();
        match coin.kind {
            Kind::Wpkh | Kind::WrappedWpkh => {
                let program = self.wpkh(coin);
                let hash = cache
                    .p2wpkh_signature_hash(index, &program, COIN, EcdsaSighashType::All)
                    .unwrap();
                let witness = Witness::p2wpkh(&ecdsa(hash.to_byte_array()), &coin.key.public_key(&self.secp));
                let script_sig = match coin.kind {
                    Kind::Wpkh => ScriptBuf::new(),
                    _ => Builder::new().push_slice(push(program.into_bytes())).into_script(),
                };
                (script_sig, witness)
            }
            Kind::Pkh | Kind::PkhMalleated | Kind::PkhUncompressed => {
                let script = &prevouts[index].script_pubkey;
                let hash = cache
                    .legacy_signature_hash(index, script, EcdsaSighashType::All.to_u32())
                    .unwrap();
                let signature = ecdsa(hash.to_byte_array());
                let mut builder = Builder::new();
                if coin.kind == Kind::PkhMalleated {
                    // A malleated script: a dropped push before the key, and 33 bytes that look like a key.
                    builder = builder
                        .push_slice([3; 33])
                        .push_opcode(OP_DROP)
                        .push_opcode(OP_0)
                        .push_opcode(OP_DROP);
                }
                let builder = builder.push_slice(signature.serialize()).push_key(&self.public(coin));
                (builder.into_script(), Witness::new())
            }
            Kind::TaprootKey | Kind::TaprootKeyAnnex => {
                let annex = (coin.kind == Kind::TaprootKeyAnnex).then(|| Annex::new(&ANNEX).unwrap());
                let hash = cache
                    .taproot_signature_hash(index, &Prevouts::All(prevouts), annex, None, TapSighashType::Default)
                    .unwrap();
                let pair = Keypair::from_secret_key(&self.secp, &coin.key)
                    .tap_tweak(&self.secp, None)
                    .to_keypair();
                let mut witness = Witness::p2tr_key_spend(&taproot::Signature {
                    signature: self
                        .secp
                        .sign_schnorr(&Message::from_digest(hash.to_byte_array()), &pair),
                    sighash_type: TapSighashType::Default,
                });
                if coin.kind == Kind::TaprootKeyAnnex {
                    witness.push(ANNEX);
                }
                (ScriptBuf::new(), witness)
            }
            Kind::TaprootScript | Kind::TaprootScriptAnnex | Kind::TaprootNums | Kind::TaprootNumsAnnex => {
                let leaf = self.leaf(coin);
                let control = self
                    .tree(coin)
                    .control_block(&(leaf.clone(), LeafVersion::TapScript))
                    .unwrap();
                let mut witness = Witness::new();
                witness.push(leaf.as_bytes());
                witness.push(control.serialize());
                if matches!(coin.kind, Kind::TaprootScriptAnnex | Kind::TaprootNumsAnnex) {
                    witness.push(ANNEX);
                }
                (ScriptBuf::new(), witness)
            }
            Kind::Wsh => (ScriptBuf::new(), Witness::from_slice(&[self.leaf(coin).as_bytes()])),
            Kind::Sh => {
                let script = Builder::new()
                    .push_slice(push(self.leaf(coin).into_bytes()))
                    .into_script();
                (script, Witness::new())
            }
            Kind::Future => (ScriptBuf::new(), Witness::new()),
        }
    }
}

/// A taproot output with any key, on the curve or not.
pub(crate) fn taproot(x: [u8; 32]) -> ScriptBuf {
    ScriptBuf::from_bytes([&[0x51, 0x20], &x[..]].concat())
}

/// A spendable taproot output.
pub(crate) fn taproot_of(key: &SecretKey) -> ScriptBuf {
    let key: XOnlyPublicKey = key.x_only_public_key(&Secp256k1::new()).0;
    taproot(key.serialize())
}
