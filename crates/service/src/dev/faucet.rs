//! Paying from the node's wallet.
//!
//! The wallet of a node does not support silent payments, and does not export its keys. A payment to a silent-payment
//! address therefore takes two transactions: the wallet pays to a temporary key, and that key pays the silent-payment
//! address.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::{CompressedPublicKey, TweakedPublicKey};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Address, Amount, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_bip352::send::{Input, InputKey, output_keys};
use sdk_relay_chain::node::NodeWallet;
use sdk_relay_chain::rpc::RpcClient;
use sdk_relay_chain::{BroadcastError, ChainSource};
use sdk_relay_config::Network;
use sdk_relay_echo::reason;
use sdk_relay_platform::random;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::DevError;

/// How long a request waits for the wallet of the node.
const WALLET_WITHIN: Duration = Duration::from_secs(10);
/// Fee of the second transaction, about 111 virtual bytes: four times the minimum relay fee.
const FEE: Amount = Amount::from_sat(500);
/// Least amount that a node relays to a taproot output at the default dust rate.
const DUST: Amount = Amount::from_sat(330);

/// The node's wallet as a faucet.
pub struct Faucet {
    /// The node.
    pub rpc: RpcClient,
    /// The same node as a chain source.
    pub chain: Arc<dyn ChainSource>,
    /// Whether `bitcoin_core.wallet` names a wallet.
    pub has_wallet: bool,
    /// The wallet, once it is open.
    pub wallet: watch::Receiver<Option<NodeWallet>>,
    /// For addresses.
    pub network: Network,
}

impl Faucet {
    pub(super) async fn mine(&self, blocks: u32) -> Result<Vec<BlockHash>, DevError> {
        if self.network != Network::Regtest {
            return Err(DevError::Unavailable(format!(
                "this relay cannot mine on {}: its signers mine the blocks",
                self.network
            )));
        }
        let (method, to) = match self.open_wallet().await? {
            Some(wallet) => ("generatetoaddress", wallet.new_address().await?.to_string()),
            // Without a wallet, the coins of these blocks go to an anyone-can-spend script.
            None => ("generatetodescriptor", "raw(51)#8lvh9jxk".to_owned()),
        };
        let mined = self.rpc.call(method, serde_json::json!([blocks, to])).await;
        mined.map_err(|e| DevError::Source(e.into()))
    }

    pub(super) async fn pay(&self, address: &str, amount: Amount) -> Result<Txid, DevError> {
        let Some(wallet) = self.open_wallet().await? else {
            let why = "no wallet to pay from: set bitcoin_core.wallet, on a node with wallet support";
            return Err(DevError::Unavailable(why.to_owned()));
        };
        if amount < DUST {
            return Err(DevError::Amount(format!(
                "expected at least {} sat: nodes reject smaller outputs as dust",
                DUST.to_sat()
            )));
        }
        match SilentPaymentAddress::from_str(address) {
            Ok(silent) => {
                if silent.network != self.network.silent_payment() {
                    return Err(DevError::Address(format!("the address is not one of {}", self.network)));
                }
                self.pay_silently(&wallet, silent, amount).await
            }
            Err(not_silent) => {
                let checked = Address::from_str(address)
                    .ok()
                    .and_then(|a| a.require_network(self.network.params()).ok());
                if checked.is_none() {
                    let network = self.network;
                    return Err(DevError::Address(format!(
                        "not an address of {network} ({})",
                        reason(&not_silent.to_string())
                    )));
                }
                Ok(wallet.send(address, amount).await?)
            }
        }
    }

    /// The wallet of the node; `None` if none is configured. After a start or a restart it is opened within a second or
    /// two.
    async fn open_wallet(&self) -> Result<Option<NodeWallet>, DevError> {
        if !self.has_wallet {
            return Ok(None);
        }
        let mut wallet = self.wallet.clone();
        match timeout(WALLET_WITHIN, wallet.wait_for(Option::is_some)).await {
            Ok(Ok(wallet)) => Ok(wallet.clone()),
            _ => Err(DevError::Unavailable(
                "the wallet of the node (bitcoin_core.wallet) is not open: GET /health says why; try again later"
                    .to_owned(),
            )),
        }
    }

    async fn pay_silently(
        &self,
        wallet: &NodeWallet,
        to: SilentPaymentAddress,
        amount: Amount,
    ) -> Result<Txid, DevError> {
        let key = SecretKey::new(&mut random::rng());
        let public = CompressedPublicKey(key.public_key(&Secp256k1::signing_only()));
        let between = Address::p2wpkh(&public, self.network.params());
        let funding = wallet.send(&between.to_string(), amount + FEE).await?;
        let found = self.chain.transactions(&[funding], Vec::new()).await?;
        let funded = found.first().and_then(|f| {
            let outputs = (0u32..).zip(&f.tx.output);
            let mut own = outputs.filter(|(_, o)| o.script_pubkey == between.script_pubkey());
            own.next()
                .map(|(vout, output)| (OutPoint { txid: funding, vout }, output.clone()))
        });
        let (outpoint, prevout) = funded
            .ok_or_else(|| DevError::Failed(format!("transaction {funding} of the wallet is not in the mempool")))?;
        let tx = spend(key, &public, outpoint, &prevout, to, amount)?;
        self.chain.broadcast(&tx).await.map_err(|e| match e {
            BroadcastError::Rejected(rejection) => {
                DevError::Failed(format!("the node rejects the payment: {}", reason(&rejection)))
            }
            BroadcastError::Source(error) => DevError::Source(error),
        })
    }
}

/// The transaction that spends one P2WPKH output to a silent-payment address.
fn spend(
    key: SecretKey,
    public: &CompressedPublicKey,
    outpoint: OutPoint,
    prevout: &TxOut,
    to: SilentPaymentAddress,
    amount: Amount,
) -> Result<Transaction, DevError> {
    let failed = |reason: &dyn std::fmt::Display| DevError::Failed(format!("cannot create the payment: {reason}"));
    let keys = output_keys(
        &[Input {
            outpoint,
            key: InputKey::Ecdsa(key),
        }],
        &[to],
    )
    .map_err(|e| failed(&e))?;
    let output = keys.first().ok_or_else(|| failed(&"no output"))?;
    let mut tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        }],
        // BIP352 output keys are used without the tweak of BIP341.
        output: vec![TxOut {
            value: amount,
            script_pubkey: ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(*output)),
        }],
    };
    let hash = SighashCache::new(&tx)
        .p2wpkh_signature_hash(0, &prevout.script_pubkey, prevout.value, EcdsaSighashType::All)
        .map_err(|e| failed(&e))?;
    let message = Message::from_digest(hash.to_byte_array());
    let signature = bitcoin::ecdsa::Signature::sighash_all(Secp256k1::signing_only().sign_ecdsa(&message, &key));
    if let Some(input) = tx.input.first_mut() {
        input.witness = Witness::p2wpkh(&signature, &public.0);
    }
    Ok(tx)
}
