//! The messages of streams, written from the rows of the index: a message of `prost` would have three allocations for
//! each row.

use bitcoin::hashes::Hash;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use sdk_relay_blindbit_proto::{BlockScanDataShortResponse, ComputeIndexResponse, Encoded};
use sdk_relay_store::index::{BlockRows, Row};

/// Bytes of an x-only key in short form.
const SHORT: usize = 8;
/// Bytes of a row with one output, and most of those of a `BlockIdentifier`.
const ROW: usize = 90;

/// A block of `StreamBlockScanDataShort`, with these of its transactions.
pub(super) fn scan_data(block: &BlockRows, rows: &[Row<'_>]) -> Encoded<BlockScanDataShortResponse> {
    let mut bytes = compute_index_bytes(block, rows, 8 + block.spent.len() * SHORT);
    let prefixes = block.spent.iter().map(|spent| &spent.key_prefix[..]);
    field(&mut bytes, 3, block.spent.len() * SHORT, prefixes);
    Encoded::new(bytes)
}

/// A block of `StreamComputeIndex`, with these of its transactions.
pub(super) fn compute_index(block: &BlockRows, rows: &[Row<'_>]) -> Encoded<ComputeIndexResponse> {
    Encoded::new(compute_index_bytes(block, rows, 0))
}

/// Fields 1 and 2 of both messages, with space for more.
fn compute_index_bytes(block: &BlockRows, rows: &[Row<'_>], more: usize) -> Vec<u8> {
    let keys: usize = rows.iter().map(|row| row.keys.len()).sum();
    let mut bytes = Vec::with_capacity((rows.len() + 1) * ROW + keys * SHORT + more);
    let height = u64::from(block.height);
    let height_len = match height {
        0 => 0,
        height => key_len(2) + encoded_len_varint(height),
    };
    let hash = display(block.hash.to_byte_array());
    head(&mut bytes, 1, field_len(1, hash.len()) + height_len);
    field(&mut bytes, 1, hash.len(), [&hash[..]]);
    if height != 0 {
        encode_key(2, WireType::Varint, &mut bytes);
        encode_varint(height, &mut bytes);
    }
    for row in rows {
        let (txid, short) = (display(*row.txid), row.keys.len() * SHORT);
        let length = field_len(1, txid.len()) + field_len(2, row.tweak.len()) + field_len(3, short);
        head(&mut bytes, 2, length);
        field(&mut bytes, 1, txid.len(), [&txid[..]]);
        field(&mut bytes, 2, row.tweak.len(), [&row.tweak[..]]);
        field(&mut bytes, 3, short, row.keys.iter().map(|key| &key[..SHORT]));
    }
    bytes
}

/// Hashes are in display order.
fn display(mut serialised: [u8; 32]) -> [u8; 32] {
    serialised.reverse();
    serialised
}

/// Key and length of a field that has a length.
fn head(bytes: &mut Vec<u8>, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(length as u64, bytes);
}

/// A field of bytes; an empty one is absent (proto3).
fn field<'a>(bytes: &mut Vec<u8>, tag: u32, length: usize, parts: impl IntoIterator<Item = &'a [u8]>) {
    if length > 0 {
        head(bytes, tag, length);
        for part in parts {
            bytes.extend_from_slice(part);
        }
    }
}

fn field_len(tag: u32, length: usize) -> usize {
    match length {
        0 => 0,
        length => key_len(tag) + encoded_len_varint(length as u64) + length,
    }
}
