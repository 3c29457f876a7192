//! The messages about one block. `wire` writes those of streams.

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Txid};
use sdk_relay_blindbit_proto::{BlockIdentifier, FullBlockResponse, FullTxItem, IndexResponse, UtxoItemLight};
use sdk_relay_store::index::{IndexedBlock, IndexedTx};

use crate::block::Found;

pub(super) fn full_block(found: &Found) -> FullBlockResponse {
    let block = &found.block;
    FullBlockResponse {
        block_identifier: Some(identifier(block)),
        index: block.transactions.iter().map(|tx| full(block, tx)).collect(),
    }
}

pub(super) fn spent_outputs(found: &Found) -> IndexResponse {
    IndexResponse {
        block_identifier: Some(identifier(&found.block)),
        index: spent(&found.block),
    }
}

/// Hashes of blocks and transactions are in display order everywhere.
pub(super) fn block_hash(hash: BlockHash) -> Vec<u8> {
    display(hash.to_byte_array())
}

fn txid(txid: Txid) -> Vec<u8> {
    display(txid.to_byte_array())
}

fn display(mut serialised: [u8; 32]) -> Vec<u8> {
    serialised.reverse();
    serialised.to_vec()
}

fn identifier(block: &IndexedBlock) -> BlockIdentifier {
    BlockIdentifier {
        block_hash: block_hash(block.hash),
        block_height: block.height.into(),
    }
}

fn spent(block: &IndexedBlock) -> Vec<u8> {
    block.spent.iter().flat_map(|spent| spent.key_prefix).collect()
}

fn full(block: &IndexedBlock, tx: &IndexedTx) -> FullTxItem {
    let inputs = block.spent_by(tx).iter().flat_map(|spent| {
        let mut outpoint = txid(spent.outpoint.txid);
        outpoint.extend(spent.outpoint.vout.to_be_bytes());
        outpoint
    });
    let outputs = tx.outputs().map(|output| UtxoItemLight {
        vout: output.vout,
        amount: output.amount.to_sat(),
        pubkey: output.key.to_vec(),
    });
    FullTxItem {
        txid: txid(tx.txid),
        tweak: tx.tweak.to_vec(),
        inputs: inputs.collect(),
        utxos: outputs.collect(),
    }
}
