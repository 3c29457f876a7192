//! The two filters of the BIP352 light-client specification (`setavenger/BIP0352-light-client-specification`):
//! Golomb-coded sets as in BIP158, of other elements.

use bitcoin::BlockHash;
use bitcoin::bip158::GcsFilterWriter;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use sdk_relay_protocol::blindbit::BlindbitFilter;
use sdk_relay_store::index::{IndexedBlock, SpentOutput};

use crate::block::hex;

/// BIP158: bits of a remainder.
const P: u8 = 19;
/// BIP158: one over the rate of false matches.
const M: u64 = 784_931;
/// Filter type of both filters in BlindBit.
const FILTER_TYPE: u8 = 4;

/// The filter of the x-only keys of the taproot outputs of eligible transactions.
pub(crate) fn new_utxos(block: &IndexedBlock) -> BlindbitFilter {
    let keys = block.transactions.iter().flat_map(|tx| &tx.keys);
    filter(block, keys.map(<[u8; 32]>::as_slice))
}

/// The filter of the elements of `spent-index`.
pub(crate) fn spent(block: &IndexedBlock) -> BlindbitFilter {
    let spent: Vec<_> = spent_hashes(block).collect();
    filter(block, spent.iter().map(<[u8; 8]>::as_slice))
}

/// SHA256(outpoint ‖ block hash), its first 8 bytes, for each taproot output that the block spends.
pub(crate) fn spent_hashes(block: &IndexedBlock) -> impl Iterator<Item = [u8; 8]> + '_ {
    block.spent.iter().map(|spent| spent_hash(spent, block.hash))
}

fn spent_hash(SpentOutput { outpoint, .. }: &SpentOutput, block: BlockHash) -> [u8; 8] {
    let mut engine = sha256::Hash::engine();
    engine.input(outpoint.txid.as_byte_array());
    engine.input(&outpoint.vout.to_le_bytes());
    engine.input(block.as_byte_array());
    let mut short = [0; 8];
    let whole = sha256::Hash::from_engine(engine);
    short.copy_from_slice(&whole.as_byte_array()[..8]);
    short
}

fn filter<'a>(block: &IndexedBlock, elements: impl Iterator<Item = &'a [u8]>) -> BlindbitFilter {
    let (k0, k1) = key(block.hash);
    let mut data = Vec::new();
    let mut writer = GcsFilterWriter::new(&mut data, k0, k1, M, P);
    elements.for_each(|element| writer.add_element(element));
    #[expect(clippy::let_underscore_must_use, reason = "writing to memory does not fail")]
    let _ = writer.finish();
    BlindbitFilter {
        block_hash: block.hash.to_string(),
        block_height: block.height,
        data: hex(&data),
        filter_type: FILTER_TYPE,
    }
}

/// BIP158: the first 16 bytes of the block hash, as two little-endian numbers.
fn key(hash: BlockHash) -> (u64, u64) {
    let bytes = hash.to_byte_array();
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(eight)
    };
    (number(0), number(8))
}

#[cfg(test)]
mod tests {
    use bitcoin::bip158::BlockFilter;
    use bitcoin::hex::FromHex;
    use bitcoin::{Amount, OutPoint, Txid};
    use sdk_relay_store::index::{IndexedTx, OutputPlace};

    use super::*;

    fn block(keys: u8, spends: u8) -> IndexedBlock {
        IndexedBlock {
            height: 7,
            hash: BlockHash::hash(b"a block"),
            time: 0,
            transactions: vec![IndexedTx {
                txid: Txid::all_zeros(),
                tweak: [2; 33],
                keys: (0..keys).map(|n| [n; 32]).collect(),
                places: (0..keys)
                    .map(|n| OutputPlace {
                        vout: u32::from(n),
                        amount: Amount::ONE_SAT,
                    })
                    .collect(),
                fee: None,
                size: 0,
                spends: 0..usize::from(spends),
            }],
            spent: (0..spends)
                .map(|n| SpentOutput {
                    outpoint: OutPoint {
                        txid: Txid::hash(&[n]),
                        vout: u32::from(n),
                    },
                    key_prefix: [n; 8],
                })
                .collect(),
        }
    }

    /// Looks up an element with the reader of BIP158, as a wallet does.
    fn holds(filter: &BlindbitFilter, block: &IndexedBlock, element: &[u8]) -> bool {
        let content = Vec::from_hex(&filter.data).unwrap();
        BlockFilter::new(&content)
            .match_any(&block.hash, &mut std::iter::once(element))
            .unwrap()
    }

    #[test]
    fn bip158_readers_match_its_elements() {
        let block = block(200, 100);
        let (new, spent) = (new_utxos(&block), spent(&block));
        for n in 0..200 {
            assert!(holds(&new, &block, &[n; 32]));
        }
        assert!(spent_hashes(&block).all(|hash| holds(&spent, &block, &hash)));
        let strangers = (0..200u8).filter(|n| holds(&new, &block, &sha256::Hash::hash(&[*n]).to_byte_array()));
        assert_eq!(strangers.count(), 0, "the false-positive rate is 1 in 784,931");
    }

    #[test]
    fn the_hash_of_a_spent_output_is_that_of_the_specification() {
        let block = block(0, 1);
        let mut bytes = Txid::hash(&[0]).to_byte_array().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(BlockHash::hash(b"a block").to_byte_array());
        let whole = sha256::Hash::hash(&bytes).to_byte_array();
        assert_eq!(spent_hashes(&block).next().unwrap(), whole[..8]);
    }

    #[test]
    fn an_empty_filter_is_valid() {
        let block = block(0, 0);
        assert_eq!((new_utxos(&block).data, spent(&block).data), ("00".into(), "00".into()));
    }
}
