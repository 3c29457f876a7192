//! A light wallet according to the BIP352 light-client specification: tweaks, then the filter, then the outputs, then
//! the spent ones. It uses only the address of an Oracle; its cryptography is that of spdk.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::bip158::BlockFilter;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::FromHex;
use bitcoin::secp256k1::{PublicKey, XOnlyPublicKey};
use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_blindbit_proto::{
    BlockHeightRequest, ComputeIndexTxItem, RangedBlockHeightRequestFiltered, UtxoItemLight,
};
use serde_json::Value;
use silentpayments::receiving::{Label, Receiver};
use silentpayments::utils::receiving::calculate_ecdh_shared_secret;
use silentpayments::{Network, SharedSecret, SpVersion};
use testkit::Payee;

use crate::blindbit::scene::{json, strings};
use crate::grpc::client::GrpcClient;

/// Data of an own output: satoshis, and the label that was paid.
pub(crate) type Coin = (u64, Option<u32>);

pub(crate) struct Wallet {
    payee: Payee,
    receiver: Receiver,
    labels: HashMap<Label, u32>,
    /// Unspent, as far as the wallet has read.
    pub(crate) coins: BTreeMap<OutPoint, Coin>,
    /// Blocks whose outputs were requested because the filter matched.
    pub(crate) looked_into: Vec<u32>,
    /// Keys of coins that were found over gRPC, in short form.
    prefixes: HashMap<[u8; 8], OutPoint>,
}

impl Wallet {
    pub(crate) fn new(payee: &Payee) -> Wallet {
        let secp = bitcoin::secp256k1::Secp256k1::new();
        let label = |m| Label::new(payee.scan, m);
        let (scan, spend) = (payee.scan.public_key(&secp), payee.spend.public_key(&secp));
        let mut receiver = Receiver::new(SpVersion::ZERO, scan, spend, label(0), Network::Regtest).unwrap();
        for m in &payee.labels {
            receiver.add_label(label(*m)).unwrap();
        }
        let numbers = payee.labels.iter().chain([&0]);
        Wallet {
            labels: numbers.map(|m| (label(*m), *m)).collect(),
            payee: payee.clone(),
            receiver,
            coins: BTreeMap::new(),
            looked_into: Vec::new(),
            prefixes: HashMap::new(),
        }
    }

    /// Reads one block of an Oracle of version 1 through its filters. `tweaks` is `tweaks` or `tweak-index`.
    pub(crate) async fn read(&mut self, v1: &str, height: u32, tweaks: &str, dust_limit: u64) {
        let tweaks = json(&format!("{v1}/{tweaks}/{height}?dustLimit={dust_limit}")).await;
        let secrets: Vec<_> = strings(&tweaks).iter().map(|t| self.secret(t)).collect();
        let new = Filter::get(&format!("{v1}/filter/new-utxos/{height}")).await;
        let candidates: HashMap<[u8; 32], &SharedSecret> = secrets.iter().flat_map(|s| self.first_keys(s)).collect();
        if new.matches(candidates.keys().map(<[u8; 32]>::as_slice)) {
            self.looked_into.push(height);
            let utxos = json(&format!("{v1}/utxos/{height}")).await;
            self.scan(utxos.as_array().unwrap(), &candidates);
        }
        self.forget_spent(v1, height).await;
    }

    /// Reads one block of an Oracle of version 2 through its compute index.
    pub(crate) async fn read_v2(&mut self, v2: &str, height: u32) {
        let compute = json(&format!("{v2}/compute-index/{height}")).await;
        for item in compute["index"].as_array().unwrap() {
            let secret = self.secret(item["tweak"].as_str().unwrap());
            let first: HashSet<String> = self.first_keys(&secret).map(|(key, _)| short(&key)).collect();
            if !strings(&item["outputs"]).iter().any(|o| first.contains(o)) {
                continue;
            }
            self.looked_into.push(height);
            let full = json(&format!("{v2}/full-block/{height}")).await;
            let txs = full["index"].as_array().unwrap();
            let tx = txs.iter().find(|tx| tx["txid"] == item["txid"]).unwrap();
            assert_eq!(tx["tweak"], item["tweak"]);
            let outputs: Vec<_> = tx["utxos"].as_array().unwrap().iter().map(Found::of_v2).collect();
            self.take(tx["txid"].as_str().unwrap().parse().unwrap(), &secret, &outputs);
        }
    }

    /// Reads blocks of an Oracle of version 2 over gRPC, as BlindBit's own wallets do: a stream of short data, and the
    /// whole block for a match.
    pub(crate) async fn read_grpc(&mut self, client: &mut GrpcClient, start: u32, end: u32) {
        let range = RangedBlockHeightRequestFiltered {
            start: start.into(),
            end: end.into(),
            dustlimit: 0,
            cut_through: false,
        };
        let mut blocks = client.stream_block_scan_data_short(range).await.unwrap().into_inner();
        let mut expected = start;
        while let Some(block) = blocks.message().await.unwrap() {
            let height = block.block_identifier.unwrap().block_height;
            assert_eq!(height, u64::from(expected), "in order, without a gap");
            expected += 1;
            for item in &block.comp_index {
                let secret = self.secret_of(&PublicKey::from_slice(&item.tweak).unwrap());
                let first: HashSet<[u8; 8]> = self.first_keys(&secret).map(|(key, _)| prefix(&key)).collect();
                let outputs = item.outputs_short.chunks_exact(8);
                if outputs
                    .map(|o| <[u8; 8]>::try_from(o).unwrap())
                    .any(|o| first.contains(&o))
                {
                    self.looked_into.push(u32::try_from(height).unwrap());
                    self.take_grpc(client, height, item).await;
                }
            }
            for spent in block.spent_outputs.chunks_exact(8) {
                if let Some(outpoint) = self.prefixes.get(spent) {
                    self.coins.remove(outpoint);
                }
            }
        }
        assert_eq!(expected, end + 1);
    }

    async fn take_grpc(&mut self, client: &mut GrpcClient, block_height: u64, item: &ComputeIndexTxItem) {
        let full = client.get_full_block(BlockHeightRequest { block_height }).await;
        let full = full.unwrap().into_inner();
        let tx = full.index.iter().find(|tx| tx.txid == item.txid).unwrap();
        assert_eq!(tx.tweak, item.tweak);
        let outputs: Vec<_> = tx.utxos.iter().map(Found::of_grpc).collect();
        let secret = self.secret_of(&PublicKey::from_slice(&tx.tweak).unwrap());
        let mut serialised = tx.txid.clone();
        serialised.reverse();
        let txid = Txid::from_slice(&serialised).unwrap();
        self.take(txid, &secret, &outputs);
        for output in &outputs {
            let outpoint = OutPoint::new(txid, output.vout);
            if self.coins.contains_key(&outpoint) {
                self.prefixes.insert(prefix(&output.key.serialize()), outpoint);
            }
        }
    }

    fn secret(&self, tweak: &str) -> SharedSecret {
        self.secret_of(&tweak.parse().unwrap())
    }

    fn secret_of(&self, tweak: &PublicKey) -> SharedSecret {
        calculate_ecdh_shared_secret(tweak, &self.payee.scan)
    }

    /// The keys that pay it first in a transaction of this secret, with each label.
    fn first_keys<'a>(&self, secret: &'a SharedSecret) -> impl Iterator<Item = ([u8; 32], &'a SharedSecret)> + use<'a> {
        let keys = self.receiver.generate_output_keys_from_shared_secret(secret).unwrap();
        keys.into_values().map(move |key| (key.serialize(), secret))
    }

    fn scan(&mut self, utxos: &[Value], candidates: &HashMap<[u8; 32], &SharedSecret>) {
        let mut by_tx: BTreeMap<Txid, Vec<Found>> = BTreeMap::new();
        for utxo in utxos {
            let txid = utxo["txid"].as_str().unwrap().parse().unwrap();
            by_tx.entry(txid).or_default().push(Found::of_v1(utxo));
        }
        for (txid, outputs) in by_tx {
            if let Some(secret) = outputs.iter().find_map(|o| candidates.get(&o.key.serialize())) {
                self.take(txid, secret, &outputs);
            }
        }
    }

    fn take(&mut self, txid: Txid, secret: &SharedSecret, outputs: &[Found]) {
        let keys: Vec<_> = outputs.iter().map(|o| o.key).collect();
        for (label, keys) in self.receiver.scan_transaction(secret, &keys).unwrap() {
            for output in outputs.iter().filter(|o| !o.spent && keys.contains_key(&o.key)) {
                let label = label.as_ref().map(|label| self.labels[label]);
                self.coins
                    .insert(OutPoint::new(txid, output.vout), (output.sats, label));
            }
        }
    }

    async fn forget_spent(&mut self, v1: &str, height: u32) {
        let filter = Filter::get(&format!("{v1}/filter/spent/{height}")).await;
        let short_hash = |outpoint: &OutPoint| {
            let bytes = [serialize(outpoint), filter.block.to_byte_array().to_vec()].concat();
            let whole = sha256::Hash::hash(&bytes).to_byte_array();
            <[u8; 8]>::try_from(&whole[..8]).unwrap()
        };
        let ours: HashMap<[u8; 8], OutPoint> = self.coins.keys().map(|o| (short_hash(o), *o)).collect();
        if filter.matches(ours.keys().map(<[u8; 8]>::as_slice)) {
            let spent = json(&format!("{v1}/spent-index/{height}")).await;
            assert_eq!(spent["block_hash"], filter.block.to_string());
            for hash in strings(&spent["data"]) {
                if let Some(outpoint) = ours.get(&<[u8; 8]>::from_hex(&hash).unwrap()) {
                    self.coins.remove(outpoint);
                }
            }
        }
    }
}

struct Found {
    vout: u32,
    sats: u64,
    key: XOnlyPublicKey,
    spent: bool,
}

impl Found {
    fn of_v1(utxo: &Value) -> Found {
        let script = utxo["scriptpubkey"].as_str().unwrap();
        Found {
            vout: u32::try_from(utxo["vout"].as_u64().unwrap()).unwrap(),
            sats: utxo["value"].as_u64().unwrap(),
            key: script.strip_prefix("5120").unwrap().parse().unwrap(),
            spent: utxo["spent"].as_bool().unwrap(),
        }
    }

    fn of_grpc(output: &UtxoItemLight) -> Found {
        Found {
            vout: output.vout,
            sats: output.amount,
            key: XOnlyPublicKey::from_slice(&output.pubkey).unwrap(),
            spent: false,
        }
    }

    fn of_v2(output: &Value) -> Found {
        Found {
            vout: u32::try_from(output["vout"].as_u64().unwrap()).unwrap(),
            sats: output["amount"].as_u64().unwrap(),
            key: output["pubkey"].as_str().unwrap().parse().unwrap(),
            spent: false,
        }
    }
}

struct Filter {
    block: BlockHash,
    content: Vec<u8>,
}

impl Filter {
    async fn get(url: &str) -> Filter {
        let filter = json(url).await;
        assert_eq!(filter["filter_type"], 4);
        Filter {
            block: filter["block_hash"].as_str().unwrap().parse().unwrap(),
            content: Vec::from_hex(filter["data"].as_str().unwrap()).unwrap(),
        }
    }

    /// A query without elements would always match.
    fn matches<'a>(&self, elements: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut elements = elements.peekable();
        elements.peek().is_some()
            && BlockFilter::new(&self.content)
                .match_any(&self.block, &mut elements)
                .unwrap()
    }
}

fn prefix(key: &[u8; 32]) -> [u8; 8] {
    key[..8].try_into().unwrap()
}

fn short(key: &[u8; 32]) -> String {
    use bitcoin::hex::DisplayHex;
    key[..8].to_lower_hex_string()
}
