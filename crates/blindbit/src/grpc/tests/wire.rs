//! The messages of streams have the bytes that `prost` gives the same messages.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use prost::Message;
use sdk_relay_blindbit_proto::{
    BlockIdentifier, BlockScanDataShortResponse, ComputeIndexResponse, ComputeIndexTxItem, Encoded,
};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, Row, SpentOutput};

use super::scene::hash;
use crate::grpc::wire;

/// A transaction with this many taproot outputs.
fn transaction(n: u8, outputs: u8) -> IndexedTx {
    IndexedTx {
        txid: Txid::hash(&[n]),
        tweak: [n; 33],
        keys: (0..outputs).map(|key| [key; 32]).collect(),
        places: (0..outputs)
            .map(|vout| OutputPlace {
                vout: u32::from(vout) * 300,
                amount: Amount::from_sat(u64::from(vout) << 40),
            })
            .collect(),
        fee: Some(u64::from(n) << 20),
        size: 70_000,
        spends: 0..0,
    }
}

fn block(height: u32, outputs: &[u8], spent: u8) -> IndexedBlock {
    IndexedBlock {
        height,
        hash: hash(height, 0),
        time: 1_700_000_000,
        transactions: (0..)
            .zip(outputs)
            .map(|(n, outputs)| transaction(n, *outputs))
            .collect(),
        spent: (0..spent)
            .map(|n| SpentOutput {
                outpoint: OutPoint::new(Txid::hash(b"spent"), n.into()),
                key_prefix: [n; 8],
            })
            .collect(),
    }
}

/// In display order, as text has it.
fn display(hash: &impl ToString) -> Vec<u8> {
    bitcoin::hex::FromHex::from_hex(&hash.to_string()).unwrap()
}

fn identifier(block: &IndexedBlock) -> Option<BlockIdentifier> {
    Some(BlockIdentifier {
        block_hash: display(&block.hash),
        block_height: block.height.into(),
    })
}

fn item(tx: &IndexedTx) -> ComputeIndexTxItem {
    ComputeIndexTxItem {
        txid: display(&tx.txid),
        tweak: tx.tweak.to_vec(),
        outputs_short: tx.keys.iter().flat_map(|key| &key[..8]).copied().collect(),
    }
}

/// Bytes, and the message that they encode.
fn checked<M: Message + Default + PartialEq + std::fmt::Debug>(written: &Encoded<M>, expected: &M) {
    assert_eq!(written.decode().unwrap(), *expected);
    assert_eq!(written.as_ref(), expected.encode_to_vec());
    // Through the trait that a server sends it with.
    assert_eq!(written.encode_to_vec(), written.as_ref());
    assert_eq!(written.encoded_len(), written.as_ref().len());
}

#[test]
fn the_written_messages_are_those_of_prost() {
    let data = tempfile::tempdir().unwrap();
    let store = TweakIndex::open(data.path(), "regtest", 0).unwrap();
    let blocks = [
        block(0, &[], 0),
        block(1, &[1], 0),
        block(2, &[], 3),
        block(3, &[2, 1, 40, 1, 255], 200),
    ];
    store.append(BlockHash::all_zeros(), &blocks).unwrap();
    for block in &blocks {
        let read = store.block_rows(block.height).unwrap().unwrap();
        let rows: Vec<Row<'_>> = read.rows().collect();
        assert_eq!(read.spent, block.spent);
        for (row, tx) in rows.iter().zip(&block.transactions) {
            assert_eq!(row.places().collect::<Vec<_>>(), tx.places);
        }
        let items: Vec<_> = block.transactions.iter().map(item).collect();
        let expected = BlockScanDataShortResponse {
            block_identifier: identifier(block),
            comp_index: items.clone(),
            spent_outputs: block.spent.iter().flat_map(|spent| spent.key_prefix).collect(),
        };
        checked(&wire::scan_data(&read, &rows), &expected);
        let expected = ComputeIndexResponse {
            block_identifier: identifier(block),
            index: items,
        };
        let read = store.transaction_rows(block.height).unwrap().unwrap();
        let rows: Vec<Row<'_>> = read.rows().collect();
        assert_eq!(read.spent, []);
        checked(&wire::compute_index(&read, &rows), &expected);
        let none = ComputeIndexResponse {
            index: Vec::new(),
            ..expected
        };
        checked(&wire::compute_index(&read, &[]), &none);
    }
}
