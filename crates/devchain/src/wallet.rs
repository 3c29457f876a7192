//! The wallet that mines and pays: one key for each kind of eligible input (BIP352).

use std::fmt;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::key::TapTweak;
use bitcoin::script::PushBytesBuf;
use bitcoin::secp256k1::{Keypair, Message, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::{CompressedPublicKey, Script, ScriptBuf, Transaction, TxOut, Witness, ecdsa, sighash, taproot};
use sdk_relay_bip352::send::InputKey;
use sdk_relay_platform::random;

use super::curve::SECP;

/// How an output of the wallet is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    P2wpkh,
    P2tr,
    P2pkh,
    P2shP2wpkh,
}

impl Kind {
    /// In the order in which the coinbases take turns.
    pub(super) const ALL: [Self; 4] = [Self::P2wpkh, Self::P2tr, Self::P2pkh, Self::P2shP2wpkh];

    /// Upper bound of the virtual size of an input.
    pub(super) fn vsize(self) -> u64 {
        match self {
            Self::P2wpkh => 69,
            Self::P2tr => 58,
            Self::P2pkh => 149,
            Self::P2shP2wpkh => 92,
        }
    }
}

/// A key and the script that it unlocks.
struct Lock {
    kind: Kind,
    /// The signing key: for P2TR after the tweak of BIP86.
    keypair: Keypair,
    script: ScriptBuf,
}

/// Its `Debug` shows no key.
pub(super) struct Wallet {
    locks: Vec<Lock>,
}

impl Wallet {
    /// A random wallet secret.
    pub(super) fn new_secret() -> [u8; 32] {
        SecretKey::new(&mut random::rng()).secret_bytes()
    }

    /// The wallet of a secret. `None` if it does not give valid keys (probability 2^-126).
    pub(super) fn new(secret: &[u8; 32]) -> Option<Self> {
        let locks = Kind::ALL.map(|kind| Lock::new(kind, secret));
        let locks = locks.into_iter().collect::<Option<_>>()?;
        Some(Self { locks })
    }

    /// Recipient script of the coinbase at `height`.
    pub(super) fn payout(&self, height: u32) -> ScriptBuf {
        let lock = self.locks.get(height as usize % Kind::ALL.len());
        lock.map(|lock| lock.script.clone()).unwrap_or_default()
    }

    /// The script of a kind.
    pub(super) fn script(&self, kind: Kind) -> ScriptBuf {
        let lock = self.locks.iter().find(|lock| lock.kind == kind);
        lock.map(|lock| lock.script.clone()).unwrap_or_default()
    }

    /// The kind of this script, if it belongs to the wallet.
    pub(super) fn kind_of(&self, script: &Script) -> Option<Kind> {
        self.lock_of(script).map(|lock| lock.kind)
    }

    /// The key that an output adds to a silent payment.
    pub(super) fn input_key(&self, script: &Script) -> InputKey {
        match self.lock_of(script) {
            Some(Lock {
                kind: Kind::P2tr,
                keypair,
                ..
            }) => InputKey::Taproot(keypair.secret_key()),
            Some(lock) => InputKey::Ecdsa(lock.keypair.secret_key()),
            None => InputKey::Ineligible,
        }
    }

    /// Signs every input. `prevouts`: their spent outputs, in order; `None` if one of them does not belong to the
    /// wallet.
    pub(super) fn sign(&self, mut tx: Transaction, prevouts: &[TxOut]) -> Option<Transaction> {
        let unsigned = tx.clone();
        let mut cache = SighashCache::new(&unsigned);
        for (index, (input, prevout)) in tx.input.iter_mut().zip(prevouts).enumerate() {
            let lock = self.lock_of(&prevout.script_pubkey)?;
            (input.script_sig, input.witness) = lock.unlock(&mut cache, index, prevouts).ok()??;
        }
        Some(tx)
    }

    fn lock_of(&self, script: &Script) -> Option<&Lock> {
        self.locks.iter().find(|lock| *lock.script == *script)
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wallet(..)")
    }
}

impl Lock {
    fn new(kind: Kind, secret: &[u8; 32]) -> Option<Self> {
        // Separate keys, so that the coins of one kind do not reveal those of others.
        let mut engine = sha256::Hash::engine();
        engine.input(b"development chain wallet");
        engine.input(&[kind as u8]);
        engine.input(secret);
        let key = SecretKey::from_slice(&sha256::Hash::from_engine(engine).to_byte_array()).ok()?;
        let keypair = Keypair::from_secret_key(&SECP, &key);
        let public = CompressedPublicKey(keypair.public_key());
        let script = match kind {
            Kind::P2wpkh => ScriptBuf::new_p2wpkh(&public.wpubkey_hash()),
            Kind::P2tr => ScriptBuf::new_p2tr(&SECP, keypair.x_only_public_key().0, None),
            Kind::P2pkh => ScriptBuf::new_p2pkh(&public.pubkey_hash()),
            Kind::P2shP2wpkh => ScriptBuf::new_p2sh(&ScriptBuf::new_p2wpkh(&public.wpubkey_hash()).script_hash()),
        };
        let keypair = match kind {
            Kind::P2tr => keypair.tap_tweak(&SECP, None).to_keypair(),
            _ => keypair,
        };
        Some(Self { kind, keypair, script })
    }

    fn unlock(
        &self,
        cache: &mut SighashCache<&Transaction>,
        index: usize,
        prevouts: &[TxOut],
    ) -> Result<Option<(ScriptBuf, Witness)>, UnlockError> {
        let Some(prevout) = prevouts.get(index) else {
            return Ok(None);
        };
        let public = CompressedPublicKey(self.keypair.public_key());
        let program = ScriptBuf::new_p2wpkh(&public.wpubkey_hash());
        let all = EcdsaSighashType::All;
        Ok(Some(match self.kind {
            Kind::P2tr => {
                let sighash_type = TapSighashType::Default;
                let hash = cache.taproot_key_spend_signature_hash(index, &Prevouts::All(prevouts), sighash_type)?;
                let signature = SECP.sign_schnorr(&Message::from_digest(hash.to_byte_array()), &self.keypair);
                let signature = taproot::Signature {
                    signature,
                    sighash_type,
                };
                (ScriptBuf::new(), Witness::p2tr_key_spend(&signature))
            }
            Kind::P2wpkh | Kind::P2shP2wpkh => {
                let hash = cache.p2wpkh_signature_hash(index, &program, prevout.value, all)?;
                let witness = Witness::p2wpkh(&self.ecdsa(hash.to_byte_array()), &public.0);
                let script_sig = match self.kind {
                    Kind::P2shP2wpkh => ScriptBuf::builder()
                        .push_slice(PushBytesBuf::try_from(program.into_bytes())?)
                        .into_script(),
                    _ => ScriptBuf::new(),
                };
                (script_sig, witness)
            }
            Kind::P2pkh => {
                let hash = cache.legacy_signature_hash(index, &self.script, all.to_u32())?;
                let script_sig = ScriptBuf::builder()
                    .push_slice(self.ecdsa(hash.to_byte_array()).serialize())
                    .push_key(&public.into());
                (script_sig.into_script(), Witness::new())
            }
        }))
    }

    fn ecdsa(&self, digest: [u8; 32]) -> ecdsa::Signature {
        let signature = SECP.sign_ecdsa(&Message::from_digest(digest), &self.keypair.secret_key());
        ecdsa::Signature {
            signature,
            sighash_type: EcdsaSighashType::All,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum UnlockError {
    Taproot(#[from] sighash::TaprootError),
    Segwit(#[from] sighash::P2wpkhError),
    Index(#[from] bitcoin::transaction::InputsIndexError),
    Push(#[from] bitcoin::script::PushBytesError),
}
