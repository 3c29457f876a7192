//! Replies in the format of the RPC of a node, with the data of the development chain.

use bitcoin::BlockHash;
use bitcoin::block::Header;
use serde_json::{Value, json};

use super::ledger::{Ledger, MAX_MEMPOOL, MIN_RELAY_FEE};
use super::record::{StoredBlock, size_of};
use sdk_relay_chain::NodeInfo;

/// `getblockchaininfo`, `getnetworkinfo`, `getmempoolinfo`. `header` is that of the tip.
pub(super) fn info(ledger: &Ledger, header: &Header, size_on_disk: u64) -> NodeInfo {
    let (tip, mempool) = (ledger.tip(), &ledger.mempool);
    let fees: bitcoin::Amount = mempool.in_order().map(|(_, entry)| entry.fee).sum();
    // BTC per 1,000 virtual bytes.
    let relay_fee = bitcoin::Amount::from_sat(MIN_RELAY_FEE * 1000).to_btc();
    NodeInfo {
        blockchain: json!({
            "chain": "regtest",
            "blocks": tip.height,
            "headers": tip.height,
            "bestblockhash": tip.hash,
            "bits": format!("{:08x}", header.bits.to_consensus()),
            "target": format!("{:064x}", header.target()),
            "difficulty": header.difficulty_float(),
            "time": header.time,
            "mediantime": ledger.median_time(tip.hash),
            "verificationprogress": 1.0,
            "initialblockdownload": false,
            "chainwork": chainwork(header, tip.height),
            "size_on_disk": size_on_disk,
            "pruned": false,
            "warnings": [],
        }),
        network: json!({
            "networkactive": false,
            "connections": 0,
            "connections_in": 0,
            "connections_out": 0,
            "networks": [],
            "relayfee": relay_fee,
            "incrementalfee": relay_fee,
            "localaddresses": [],
            "warnings": [],
        }),
        mempool: json!({
            "loaded": true,
            "size": mempool.len(),
            "bytes": mempool.vsize(),
            "usage": mempool.usage(),
            "total_fee": fees.to_btc(),
            "maxmempool": MAX_MEMPOOL,
            "mempoolminfee": relay_fee,
            "minrelaytxfee": relay_fee,
            "incrementalrelayfee": relay_fee,
            "unbroadcastcount": 0,
            "fullrbf": true,
        }),
    }
}

/// `getblock HASH 1`. `None` for an unknown block.
pub(super) fn block(ledger: &Ledger, hash: BlockHash, stored: &StoredBlock) -> Option<Value> {
    let (entry, block) = (ledger.entry(&hash)?, &stored.block);
    let (header, height) = (&block.header, entry.height);
    let in_best_chain = ledger.hash_at(height) == Some(hash);
    let confirmations = match in_best_chain {
        true => i64::from(ledger.tip().height - height) + 1,
        false => -1,
    };
    let txids: Vec<_> = block.txdata.iter().map(bitcoin::Transaction::compute_txid).collect();
    let witnesses: usize = block.txdata.iter().map(|tx| tx.total_size() - tx.base_size()).sum();
    let size = size_of(block);
    let mut reply = json!({
        "hash": hash,
        "confirmations": confirmations,
        "height": height,
        "version": header.version.to_consensus(),
        "versionHex": format!("{:08x}", header.version.to_consensus()),
        "merkleroot": header.merkle_root,
        "time": header.time,
        "mediantime": ledger.median_time(hash),
        "nonce": header.nonce,
        "bits": format!("{:08x}", header.bits.to_consensus()),
        "target": format!("{:064x}", header.target()),
        "difficulty": header.difficulty_float(),
        "chainwork": chainwork(header, height),
        "nTx": txids.len(),
        "strippedsize": size - witnesses,
        "size": size,
        "weight": block.weight().to_wu(),
        "tx": txids,
    });
    let fields = reply.as_object_mut()?;
    if height > 0 {
        fields.insert("previousblockhash".into(), json!(header.prev_blockhash));
    }
    if let Some(next) = ledger.hash_at(height + 1).filter(|_| in_best_chain) {
        fields.insert("nextblockhash".into(), json!(next));
    }
    Some(reply)
}

/// Every block has the same work, the genesis block included.
fn chainwork(header: &Header, height: u32) -> String {
    let each = header.work().to_be_bytes();
    let mut low = [0; 16];
    low.copy_from_slice(each.split_at(16).1);
    format!("{:064x}", u128::from_be_bytes(low) * (u128::from(height) + 1))
}
