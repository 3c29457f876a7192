//! A receiver of silent payments, with all its keys.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, Message, PublicKey, SecretKey, rand};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, taproot};
use sdk_relay_bip352::address::Network;
use sdk_relay_bip352::spend::secret_key;
use sdk_relay_bip352::{EligibleTx, OutputTweak, Receiver, ScanKey, SilentPaymentAddress, scan};

use crate::curve::SECP;

/// Fee of [`Payee::spend`] for each input, of 58 virtual bytes, and the same for the rest: several times the minimum
/// relay fee.
const FEE: Amount = Amount::from_sat(500);

/// Scan and spend key of a regtest wallet, and its labels.
#[derive(Clone, Debug)]
pub struct Payee {
    /// `b_scan`.
    pub scan: SecretKey,
    /// `b_spend`.
    pub spend: SecretKey,
    /// Its labels, beside 0 (change).
    pub labels: Vec<u32>,
}

impl Payee {
    /// New keys.
    pub fn new(labels: &[u32]) -> Payee {
        let mut rng = rand::thread_rng();
        Payee {
            scan: SecretKey::new(&mut rng),
            spend: SecretKey::new(&mut rng),
            labels: labels.to_vec(),
        }
    }

    /// Its receiver, which finds its payments.
    pub fn receiver(&self) -> Receiver {
        Receiver::new(
            ScanKey::from(self.scan),
            self.spend_public_key(),
            self.labels.iter().copied(),
        )
        .unwrap_or_else(|e| panic!("{e}"))
    }

    /// `B_spend`.
    pub fn spend_public_key(&self) -> PublicKey {
        self.spend.public_key(&SECP)
    }

    /// `b_scan` as 64 hex digits, as a watch takes it.
    pub fn scan_hex(&self) -> String {
        self.scan.display_secret().to_string()
    }

    /// Its descriptor in the form of two keys (BIP392), with these annotations (BIP393), such as `?bh=100`.
    pub fn descriptor(&self, annotations: &str) -> String {
        let scan = bitcoin::PrivateKey::new(self.scan, bitcoin::NetworkKind::Test).to_wif();
        format!("sp({scan},{}){annotations}", self.spend_public_key())
    }

    /// The address without a label (`sprt1…`).
    pub fn address(&self) -> SilentPaymentAddress {
        self.receiver().address(Network::Regtest)
    }

    /// The address with label `m`, which is one of its labels and not 0.
    pub fn labelled_address(&self, m: u32) -> SilentPaymentAddress {
        self.receiver()
            .labelled_address(Network::Regtest, m)
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// The address of label 0, which must not be published.
    pub fn change_address(&self) -> SilentPaymentAddress {
        self.receiver()
            .change_address(Network::Regtest)
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// The outputs of `tx` that pay this wallet, with their tweaks. `prevouts`: what `tx` spends.
    pub fn received(&self, tx: &Transaction, prevouts: &[TxOut]) -> Vec<(OutPoint, TxOut, OutputTweak)> {
        let Some(eligible) = EligibleTx::from_tx(tx, prevouts) else {
            return Vec::new();
        };
        let found = scan(&self.receiver(), &eligible).into_iter();
        let received = found.map(|found| {
            let outpoint = OutPoint::new(eligible.txid, found.vout);
            (outpoint, tx.output[found.vout as usize].clone(), found.tweak)
        });
        received.collect()
    }

    /// A signed transaction that spends received outputs, each with its tweak, to one output `to`. It can be replaced
    /// (BIP125).
    pub fn spend(&self, received: &[(OutPoint, TxOut, OutputTweak)], to: ScriptBuf) -> Transaction {
        self.spend_with_fee(received, to, FEE * (received.len() as u64 + 1))
    }

    /// The same with another fee: a higher one replaces a transaction with a lower one.
    pub fn spend_with_fee(
        &self,
        received: &[(OutPoint, TxOut, OutputTweak)],
        to: ScriptBuf,
        fee: Amount,
    ) -> Transaction {
        let prevouts: Vec<_> = received.iter().map(|(_, output, _)| output.clone()).collect();
        let have: Amount = prevouts.iter().map(|output| output.value).sum();
        let input = received.iter().map(|(outpoint, ..)| TxIn {
            previous_output: *outpoint,
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        });
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: input.collect(),
            output: vec![TxOut {
                value: have - fee,
                script_pubkey: to,
            }],
        };
        let unsigned = tx.clone();
        let mut cache = SighashCache::new(&unsigned);
        for (index, (outpoint, _, tweak)) in received.iter().enumerate() {
            let key = secret_key(&self.spend, tweak).unwrap_or_else(|| panic!("no tweak of an output: {outpoint}"));
            let hash =
                cache.taproot_key_spend_signature_hash(index, &Prevouts::All(&prevouts), TapSighashType::Default);
            let message = Message::from_digest(hash.expect("a prevout for each input").to_byte_array());
            tx.input[index].witness = Witness::p2tr_key_spend(&taproot::Signature {
                signature: SECP.sign_schnorr(&message, &Keypair::from_secret_key(&SECP, &key)),
                sighash_type: TapSighashType::Default,
            });
        }
        tx
    }
}
