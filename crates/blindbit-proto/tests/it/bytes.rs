//! The bytes of the messages, decoded by hand: a client of BlindBit has the field numbers only.

use prost::Message;
use sdk_relay_blindbit_proto::{
    BlockHashResponse, BlockHeightRequest, BlockHeightResponse, BlockIdentifier, BlockScanDataShortResponse,
    ComputeIndexResponse, ComputeIndexTxItem, FullBlockResponse, FullTxItem, IndexResponse, InfoResponse,
    RangedBlockHeightRequestFiltered, UtxoItemLight,
};

/// A field: its number, and its value.
#[derive(Debug, PartialEq, Eq)]
enum Field {
    Varint(u64, u64),
    Bytes(u64, Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        fields.push(match key & 7 {
            0 => Field::Varint(key >> 3, value),
            2 => {
                let (content, rest) = bytes.split_at(usize::try_from(value).unwrap());
                bytes = rest;
                Field::Bytes(key >> 3, content.to_vec())
            }
            other => panic!("wire type {other}"),
        });
    }
    fields
}

fn block() -> BlockIdentifier {
    BlockIdentifier {
        block_hash: vec![0xab; 32],
        block_height: 300,
    }
}

fn block_bytes() -> Vec<u8> {
    let mut bytes = vec![0x0a, 32];
    bytes.extend([0xab; 32]);
    bytes.extend([0x10, 0xac, 0x02]);
    bytes
}

#[test]
fn a_block_of_a_stream_has_the_field_numbers_of_blindbit() {
    let item = ComputeIndexTxItem {
        txid: vec![1; 32],
        tweak: vec![2; 33],
        outputs_short: vec![3; 16],
    };
    let encoded_item = [
        [&[0x0a, 32][..], &[1; 32]].concat(),
        [&[0x12, 33][..], &[2; 33]].concat(),
        [&[0x1a, 16][..], &[3; 16]].concat(),
    ]
    .concat();
    assert_eq!(item.encode_to_vec(), encoded_item);
    let scan_data = BlockScanDataShortResponse {
        block_identifier: Some(block()),
        comp_index: vec![item.clone(), item.clone()],
        spent_outputs: vec![4; 8],
    };
    assert_eq!(
        fields(&scan_data.encode_to_vec()),
        [
            Field::Bytes(1, block_bytes()),
            Field::Bytes(2, encoded_item.clone()),
            Field::Bytes(2, encoded_item.clone()),
            Field::Bytes(3, vec![4; 8]),
        ]
    );
    let compute_index = ComputeIndexResponse {
        block_identifier: Some(block()),
        index: vec![item],
    };
    assert_eq!(
        fields(&compute_index.encode_to_vec()),
        [Field::Bytes(1, block_bytes()), Field::Bytes(2, encoded_item)]
    );
}

#[test]
fn a_full_block_has_the_field_numbers_of_blindbit() {
    let output = UtxoItemLight {
        vout: 1,
        amount: 70_000,
        pubkey: vec![5; 32],
    };
    let encoded_output = [&[0x08, 1, 0x10, 0xf0, 0xa2, 0x04, 0x1a, 32][..], &[5; 32]].concat();
    assert_eq!(output.encode_to_vec(), encoded_output);
    let tx = FullTxItem {
        txid: vec![1; 32],
        tweak: vec![2; 33],
        inputs: vec![6; 36],
        utxos: vec![output],
    };
    let encoded_tx = tx.encode_to_vec();
    assert_eq!(
        fields(&encoded_tx),
        [
            Field::Bytes(1, vec![1; 32]),
            Field::Bytes(2, vec![2; 33]),
            Field::Bytes(3, vec![6; 36]),
            Field::Bytes(4, encoded_output),
        ]
    );
    let full = FullBlockResponse {
        block_identifier: Some(block()),
        index: vec![tx],
    };
    assert_eq!(
        fields(&full.encode_to_vec()),
        [Field::Bytes(1, block_bytes()), Field::Bytes(2, encoded_tx)]
    );
}

#[test]
fn the_other_messages_have_the_field_numbers_of_blindbit() {
    let range = RangedBlockHeightRequestFiltered {
        start: 1,
        end: 2,
        dustlimit: 3,
        cut_through: true,
    };
    assert_eq!(range.encode_to_vec(), [0x08, 1, 0x10, 2, 0x18, 3, 0x20, 1]);
    let info = InfoResponse {
        network: "main".to_owned(),
        height: 5,
        tweaks_only: true,
        tweaks_full_basic: true,
        tweaks_full_with_dust_filter: true,
        tweaks_cut_through_with_dust_filter: true,
    };
    assert_eq!(
        fields(&info.encode_to_vec()),
        [
            Field::Bytes(1, b"main".to_vec()),
            Field::Varint(2, 5),
            Field::Varint(3, 1),
            Field::Varint(4, 1),
            Field::Varint(5, 1),
            Field::Varint(6, 1),
        ]
    );
    let index = IndexResponse {
        block_identifier: Some(block()),
        index: vec![7; 8],
    };
    assert_eq!(
        fields(&index.encode_to_vec()),
        [Field::Bytes(1, block_bytes()), Field::Bytes(2, vec![7; 8])]
    );
    assert_eq!(
        BlockHeightRequest { block_height: 300 }.encode_to_vec(),
        [0x08, 0xac, 0x02]
    );
    assert_eq!(
        BlockHeightResponse { block_height: 300 }.encode_to_vec(),
        [0x08, 0xac, 0x02]
    );
    let hash = BlockHashResponse {
        block_hash: vec![9; 32],
    };
    assert_eq!(fields(&hash.encode_to_vec()), [Field::Bytes(1, vec![9; 32])]);
}
