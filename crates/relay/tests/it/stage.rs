//! A node, a payer and a relay; and the expected notification of a transaction, from the node's data.

use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::hashes::Hash;
use bitcoin::hex::DisplayHex;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, WPubkeyHash};
use sdk_relay_bip352::{OutputTweak, SilentPaymentAddress};
use sdk_relay_client::Payment;
use serde_json::{Value, json};
use testkit::{Options, Payee, Payer, PooledNode, Recipient, RelayOptions, RelayProcess};

/// Satoshis of a payment that only marks a point in time.
pub(crate) const MARKER: u64 = 100_000;

pub(crate) struct Stage {
    pub(crate) payer: Payer,
    pub(crate) relay: RelayProcess,
    /// The relay's own silent-payment address.
    pub(crate) own: SilentPaymentAddress,
    /// Start of the test, Unix seconds.
    pub(crate) began: u64,
    pub(crate) node: PooledNode,
}

impl Stage {
    /// With the default options.
    pub(crate) async fn new() -> Stage {
        Stage::with(Options::default(), |options| options).await
    }

    /// With further options for the relay.
    pub(crate) async fn with(node: Options, relay: impl FnOnce(RelayOptions) -> RelayOptions) -> Stage {
        Stage::on(PooledNode::take(node).await, relay).await
    }

    /// On this node.
    pub(crate) async fn on(node: PooledNode, relay: impl FnOnce(RelayOptions) -> RelayOptions) -> Stage {
        let payer = Payer::funded(&node).await;
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
        let began = now();
        let relay = RelayProcess::start(relay(options)).await;
        let config = testkit::http_get(&format!("{}/config", relay.http_url())).await.json();
        let own = config["silent_payment_address"].as_str().expect("an address");
        Stage {
            own: own.parse().unwrap(),
            node,
            payer,
            relay,
            began,
        }
    }

    /// A payment to the relay's own wallet, in the mempool.
    pub(crate) async fn pay_relay(&mut self, sats: u64) -> Transaction {
        let tx = self.payer.pay(&[testkit::InputKind::P2wpkh], &[silent(self.own, sats)]);
        self.node.send_raw(&tx).await;
        tx
    }

    /// The expected payment for an output of a transaction in the mempool, without the fields that only watches have.
    pub(crate) async fn waiting(&self, tx: &Transaction, vout: u32, address: impl ToString) -> Payment {
        let entry = self.request("getmempoolentry", json!([tx.compute_txid()])).await;
        let fee = Amount::from_btc(entry["fees"]["base"].as_f64().expect("a fee")).unwrap();
        self.payment(tx, vout, address, Some(fee)).await
    }

    /// The same once the transaction is in this block.
    pub(crate) async fn confirmed(
        &self,
        tx: &Transaction,
        vout: u32,
        address: impl ToString,
        block: BlockHash,
    ) -> Payment {
        let block = self.request("getblock", json!([block, 2])).await;
        let txid = tx.compute_txid().to_string();
        let txs = block["tx"].as_array().expect("transactions");
        let entry = txs.iter().find(|tx| tx["txid"] == txid).expect("it is in the block");
        // A coinbase has none.
        let fee = entry["fee"].as_f64().map(|fee| Amount::from_btc(fee).unwrap());
        Payment {
            block_height: Some(u32::try_from(block["height"].as_u64().unwrap()).unwrap()),
            block_hash: Some(block["hash"].as_str().unwrap().to_owned()),
            confirmations: 1,
            timestamp: block["time"].as_u64().unwrap(),
            ..self.payment(tx, vout, address, fee).await
        }
    }

    pub(crate) async fn request(&self, method: &str, params: Value) -> Value {
        self.node.rpc().call(method, params).await.unwrap()
    }

    async fn payment(&self, tx: &Transaction, vout: u32, address: impl ToString, fee: Option<Amount>) -> Payment {
        let hex = bitcoin::consensus::encode::serialize_hex(tx);
        let decoded = self.request("decoderawtransaction", json!([hex])).await;
        let value = tx.output[vout as usize].value;
        Payment {
            txid: tx.compute_txid().to_string(),
            block_height: None,
            block_hash: None,
            amount: plain(value),
            address: address.to_string(),
            confirmations: 0,
            timestamp: 0,
            fee: fee.map(plain),
            size: decoded["size"].as_u64().expect("a size"),
            vout,
            tweak: None,
            label: None,
            watch_id: None,
            amount_sats: value.to_sat(),
            fee_sats: fee.map(Amount::to_sat),
            public_key: public_key(&tx.output[vout as usize].script_pubkey),
            spent_by: None,
            spent_height: None,
            replaced_by: None,
            historical: false,
        }
    }

    /// The expected payment with the reported time at which the relay first saw it. Panics if that is not between the
    /// start of the test and now.
    pub(crate) fn seen_since(&self, expected: Payment, reported: &Payment) -> Payment {
        assert!(
            (self.began..=now()).contains(&reported.timestamp),
            "seen at {}, not between {} and {}",
            reported.timestamp,
            self.began,
            now()
        );
        Payment {
            timestamp: reported.timestamp,
            ..expected
        }
    }
}

/// The key of a taproot output, in hex.
fn public_key(script: &bitcoin::Script) -> Option<String> {
    script.is_p2tr().then(|| script.as_bytes()[2..].to_lower_hex_string())
}

/// A recipient of this number of satoshis.
pub(crate) fn silent(address: SilentPaymentAddress, sats: u64) -> Recipient {
    Recipient::Silent(address, Amount::from_sat(sats))
}

/// A relay whose own wallet is that of the payee, watch-only.
pub(crate) fn watching(relay: RelayOptions, payee: &Payee) -> RelayOptions {
    relay
        .set("WALLET__SCAN_PRIVATE_KEY", payee.scan_hex())
        .set("WALLET__SPEND_PUBLIC_KEY", payee.spend_public_key().to_string())
}

/// A script whose key is unknown.
pub(crate) fn unowned_script() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&WPubkeyHash::all_zeros())
}

/// The reported tweak, in the form that spending takes.
pub(crate) fn tweak(payment: &Payment) -> OutputTweak {
    let hex = payment.tweak.as_ref().expect("a tweak").expose();
    OutputTweak::from_bytes(<[u8; 32] as bitcoin::hex::FromHex>::from_hex(hex).expect("32 bytes in hex"))
}

pub(crate) fn outpoint(payment: &Payment) -> OutPoint {
    OutPoint::new(payment.txid.parse().unwrap(), payment.vout)
}

/// BTC without trailing zeros.
fn plain(amount: Amount) -> String {
    let text = format!("{:.8}", amount.to_btc());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
