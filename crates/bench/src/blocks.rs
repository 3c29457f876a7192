//! Blocks of the size of mainnet blocks: 2,000 transactions, half of them eligible, mined by a real node.

use anyhow::{Context, Result};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::{Keypair, TapTweak};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey, rand};
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, ecdsa, taproot,
};
use testkit::Bitcoind;

/// Blocks until a coinbase can be spent.
const MATURITY: u32 = 100;
/// Initial value of each coin; each transaction takes `FEE` of it.
const COIN: Amount = Amount::from_sat(10_000_000);
const FEE: Amount = Amount::from_sat(2_000);
/// Value of a taproot output.
const PAYMENT: Amount = Amount::from_sat(5_000);

/// Creates blocks in which each transaction spends a coin of the previous block.
pub(crate) struct Generator {
    secp: Secp256k1<All>,
    key: SecretKey,
    /// P2WPKH coins, one for each transaction of a block.
    coins: Vec<(OutPoint, Amount)>,
    /// Taproot outputs of the last block, half of which the next one spends.
    taproot: Vec<OutPoint>,
}

impl Generator {
    /// Mines the coins for `transactions` per block.
    pub(crate) async fn new(node: &Bitcoind, transactions: usize) -> Result<Self> {
        let secp = Secp256k1::new();
        let key = SecretKey::new(&mut rand::thread_rng());
        let mut generator = Self {
            secp,
            key,
            coins: Vec::new(),
            taproot: Vec::new(),
        };
        let needed = COIN.to_sat() * transactions as u64 / Amount::from_int_btc(49).to_sat() + 1;
        let script = generator.wpkh();
        let coinbases = node
            .mine_to(u32::try_from(needed)?, &format!("raw({})", script.to_hex_string()))
            .await;
        node.mine(MATURITY).await;
        let mut txs = Vec::new();
        for hash in coinbases {
            let coinbase = node.block(hash).await.txdata.into_iter().next().context("a coinbase")?;
            let left = transactions - generator.coins.len();
            let fits = usize::try_from((coinbase.output[0].value - Amount::from_int_btc(1)).to_sat() / COIN.to_sat())?
                .min(left);
            if fits == 0 {
                break;
            }
            let input = (OutPoint::new(coinbase.compute_txid(), 0), coinbase.output[0].value);
            let output = vec![generator.out(COIN, false); fits];
            let tx = generator.signed(&[(input.0, generator.out(input.1, false))], output)?;
            let txid = tx.compute_txid();
            generator
                .coins
                .extend((0..).take(fits).map(|vout| (OutPoint::new(txid, vout), COIN)));
            txs.push(tx);
        }
        node.mine_with(&txs).await;
        Ok(generator)
    }

    /// Mines one block: every second transaction has a taproot output, and every fourth spends one of the block before.
    pub(crate) async fn block(&mut self, node: &Bitcoind) -> Result<()> {
        let mut txs = Vec::with_capacity(self.coins.len());
        let spendable = std::mem::take(&mut self.taproot);
        let mut spendable = spendable.into_iter().step_by(2);
        for n in 0..self.coins.len() {
            let (coin, value) = self.coins[n];
            let mut inputs = vec![(coin, self.out(value, false))];
            let pays = n % 2 == 0;
            let mut rest = value - FEE;
            let mut output = vec![];
            if pays {
                rest -= PAYMENT;
                output.push(self.out(PAYMENT, true));
                if let Some(spent) = spendable.next() {
                    inputs.push((spent, self.out(PAYMENT, true)));
                    rest += PAYMENT;
                }
            } else {
                rest -= PAYMENT;
                output.push(self.out(PAYMENT, false));
            }
            output.push(self.out(rest, false));
            let tx = self.signed(&inputs, output)?;
            let txid = tx.compute_txid();
            self.coins[n] = (OutPoint::new(txid, 1), rest);
            if pays {
                self.taproot.push(OutPoint::new(txid, 0));
            }
            txs.push(tx);
        }
        node.mine_with(&txs).await;
        Ok(())
    }

    fn wpkh(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.key.public_key(&self.secp)).wpubkey_hash())
    }

    fn out(&self, value: Amount, taproot: bool) -> TxOut {
        let script_pubkey = if taproot {
            ScriptBuf::new_p2tr(&self.secp, self.key.x_only_public_key(&self.secp).0, None)
        } else {
            self.wpkh()
        };
        TxOut { value, script_pubkey }
    }

    fn signed(&self, inputs: &[(OutPoint, TxOut)], output: Vec<TxOut>) -> Result<Transaction> {
        let mut tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: inputs
                .iter()
                .map(|(outpoint, _)| TxIn {
                    previous_output: *outpoint,
                    sequence: Sequence::MAX,
                    ..TxIn::default()
                })
                .collect(),
            output,
        };
        let prevouts: Vec<&TxOut> = inputs.iter().map(|(_, out)| out).collect();
        let mut witnesses = Vec::new();
        let mut cache = SighashCache::new(&tx);
        for (index, prevout) in prevouts.iter().enumerate() {
            witnesses.push(if prevout.script_pubkey.is_p2tr() {
                let hash = cache.taproot_key_spend_signature_hash(
                    index,
                    &Prevouts::All(&prevouts),
                    TapSighashType::Default,
                )?;
                let pair = Keypair::from_secret_key(&self.secp, &self.key)
                    .tap_tweak(&self.secp, None)
                    .to_keypair();
                Witness::p2tr_key_spend(&taproot::Signature {
                    signature: self
                        .secp
                        .sign_schnorr_no_aux_rand(&Message::from_digest(hash.to_byte_array()), &pair),
                    sighash_type: TapSighashType::Default,
                })
            } else {
                let hash =
                    cache.p2wpkh_signature_hash(index, &prevout.script_pubkey, prevout.value, EcdsaSighashType::All)?;
                let signature = self
                    .secp
                    .sign_ecdsa(&Message::from_digest(hash.to_byte_array()), &self.key);
                let signature = ecdsa::Signature {
                    signature,
                    sighash_type: EcdsaSighashType::All,
                };
                Witness::p2wpkh(&signature, &self.key.public_key(&self.secp))
            });
        }
        for (input, witness) in tx.input.iter_mut().zip(witnesses) {
            input.witness = witness;
        }
        Ok(tx)
    }
}
