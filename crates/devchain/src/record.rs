//! Contents of the records. Their format is described in the crate documentation.

use bitcoin::consensus::{Decodable, Encodable, encode, serialize};
use bitcoin::{Block, TxOut};

use super::file::Place;
use super::ledger::Coin;

/// The wallet's secret: 32 bytes.
pub(super) const WALLET: u8 = 1;
/// Consecutive blocks.
pub(super) const BLOCKS: u8 = 2;
/// A transaction that entered the mempool.
pub(super) const TRANSACTION: u8 = 3;

/// A block and its spent coins, in the order of its inputs (without the coinbase).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredBlock {
    pub(super) block: Block,
    pub(super) spent: Vec<Coin>,
}

impl StoredBlock {
    /// For each transaction, its spent outputs.
    pub(super) fn prevouts(&self) -> Vec<Vec<TxOut>> {
        let mut spent = self.spent.iter().map(|coin| coin.txout.clone());
        let count = |tx: &bitcoin::Transaction| if tx.is_coinbase() { 0 } else { tx.input.len() };
        let txs = self.block.txdata.iter();
        txs.map(|tx| spent.by_ref().take(count(tx)).collect()).collect()
    }
}

/// The payload of [`BLOCKS`], and the position of each block in the payload.
pub(super) fn encode_blocks(blocks: &[StoredBlock]) -> (Vec<u8>, Vec<Place>) {
    let mut payload = Vec::new();
    let mut places = Vec::new();
    for stored in blocks {
        let offset = payload.len();
        payload.extend(serialize(&stored.block));
        for coin in &stored.spent {
            payload.extend((coin.height << 1 | u32::from(coin.coinbase)).to_le_bytes());
            payload.extend(serialize(&coin.txout));
        }
        places.push(Place {
            offset: offset as u64,
            length: (payload.len() - offset) as u32,
        });
    }
    (payload, places)
}

/// Decodes the payload of [`BLOCKS`], or a part of it as returned by [`encode_blocks`].
pub(super) fn decode_blocks(payload: &[u8]) -> Result<Vec<(StoredBlock, Place)>, encode::Error> {
    let mut rest = payload;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let before = rest.len();
        let block = Block::consensus_decode(&mut rest)?;
        let inputs = block.txdata.iter().skip(1).map(|tx| tx.input.len()).sum::<usize>();
        let mut spent = Vec::new();
        for _ in 0..inputs {
            let origin = u32::consensus_decode(&mut rest)?;
            spent.push(Coin {
                txout: TxOut::consensus_decode(&mut rest)?,
                height: origin >> 1,
                coinbase: origin & 1 == 1,
            });
        }
        let place = Place {
            offset: (payload.len() - before) as u64,
            length: (before - rest.len()) as u32,
        };
        blocks.push((StoredBlock { block, spent }, place));
    }
    Ok(blocks)
}

/// Size of the consensus encoding.
pub(super) fn size_of(thing: &impl Encodable) -> usize {
    serialize(thing).len()
}
