//! The expected index, computed slowly by independent code: block by block from the node, with tweaks of the crate
//! `silentpayments`.

use bitcoin::consensus::serialize;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction, TxOut};
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, SpentOutput};
use serde_json::json;
use silentpayments::utils::OutPoint as TheirOutPoint;
use silentpayments::utils::receiving::{calculate_tweak_data, get_pubkey_from_input};
use testkit::Bitcoind;

/// The expected index entry of the block at this height.
pub(crate) async fn block(node: &Bitcoind, height: u32) -> IndexedBlock {
    let hash = node.hash_at(height).await;
    let block = node.block(hash).await;
    // Verbosity 3 includes the prevouts.
    let verbose = match height {
        0 => json!({"tx": [{}]}),
        _ => node.rpc().call("getblock", json!([hash, 3])).await.unwrap(),
    };
    let mut indexed = IndexedBlock {
        height,
        hash,
        time: block.header.time,
        transactions: Vec::new(),
        spent: Vec::new(),
    };
    for (tx, details) in block.txdata.iter().zip(verbose["tx"].as_array().unwrap()) {
        if tx.is_coinbase() {
            continue;
        }
        let first = indexed.spent.len();
        let prevouts: Vec<TxOut> = details["vin"].as_array().unwrap().iter().map(prevout).collect();
        for (input, prevout) in tx.input.iter().zip(&prevouts) {
            let script = prevout.script_pubkey.as_bytes();
            if let [0x51, 0x20, key @ ..] = script
                && key.len() == 32
            {
                indexed.spent.push(SpentOutput {
                    outpoint: input.previous_output,
                    key_prefix: key[..8].try_into().unwrap(),
                });
            }
        }
        let outputs: Vec<(u32, &TxOut)> = (0..)
            .zip(&tx.output)
            .filter(|(_, o)| matches!(o.script_pubkey.as_bytes(), [0x51, 0x20, key @ ..] if key.len() == 32))
            .collect();
        let Some(tweak) = tweak(tx, &prevouts).filter(|_| !outputs.is_empty()) else {
            continue;
        };
        let paid: u64 = prevouts.iter().map(|o| o.value.to_sat()).sum();
        let made: u64 = tx.output.iter().map(|o| o.value.to_sat()).sum();
        indexed.transactions.push(IndexedTx {
            txid: tx.compute_txid(),
            tweak: tweak.serialize(),
            keys: outputs
                .iter()
                .map(|(_, o)| o.script_pubkey.as_bytes()[2..].try_into().unwrap())
                .collect(),
            places: outputs
                .iter()
                .map(|(vout, o)| OutputPlace {
                    vout: *vout,
                    amount: o.value,
                })
                .collect(),
            fee: Some(paid - made),
            size: u32::try_from(serialize(tx).len()).unwrap(),
            spends: first..indexed.spent.len(),
        });
    }
    indexed
}

fn prevout(vin: &serde_json::Value) -> TxOut {
    let out = &vin["prevout"];
    TxOut {
        value: bitcoin::Amount::from_btc(out["value"].as_f64().unwrap()).unwrap(),
        script_pubkey: bitcoin::ScriptBuf::from_hex(out["scriptPubKey"]["hex"].as_str().unwrap()).unwrap(),
    }
}

fn tweak(tx: &Transaction, prevouts: &[TxOut]) -> Option<PublicKey> {
    let is_future = |o: &TxOut| o.script_pubkey.witness_version().is_some_and(|v| v.to_num() > 1);
    if prevouts.iter().any(is_future) {
        return None;
    }
    let keys: Vec<PublicKey> = tx
        .input
        .iter()
        .zip(prevouts)
        .filter_map(|(input, prevout)| {
            let script = prevout.script_pubkey.as_bytes();
            get_pubkey_from_input(input.script_sig.as_bytes(), &input.witness.to_vec(), script).expect("a valid input")
        })
        .collect();
    if keys.is_empty() {
        return None;
    }
    let outpoint = |o: &OutPoint| TheirOutPoint::from_bytes(serialize(o).try_into().expect("36 bytes"));
    let outpoints: Vec<_> = tx.input.iter().map(|i| outpoint(&i.previous_output)).collect();
    // Keys that cancel out have no sum: an error of theirs.
    calculate_tweak_data(&keys.iter().collect::<Vec<_>>(), &outpoints).ok()
}
