//! The eligible transactions of a block in place: without an allocation for each of them.

use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, OutPoint, Txid};

use super::layout::{Columns, TxHead, place};
use super::output::{OutputPlace, SpentOutput};
use super::spend::{Place, Spend};

/// A block of the index, whose transactions are read from its bytes.
#[derive(Debug)]
pub struct BlockRows {
    /// Height.
    pub height: u32,
    /// Hash of its header.
    pub hash: BlockHash,
    /// Every taproot output that the block spends, in block order; empty if only the transactions were requested.
    pub spent: Vec<SpentOutput>,
    bytes: Vec<u8>,
    rows: Vec<Ends>,
}

/// Where the parts of a transaction begin and end.
#[derive(Clone, Copy, Debug)]
struct Ends {
    /// Keys of the block up to and with its own.
    keys: usize,
    /// Begin of the places of its outputs in the bytes.
    places: usize,
}

/// An eligible transaction (BIP352).
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Transaction id, as serialised.
    pub txid: &'a [u8; 32],
    /// `input_hash·A`, compressed.
    pub tweak: &'a [u8; 33],
    /// X coordinates of its taproot outputs, in the transaction's order.
    pub keys: &'a [[u8; 32]],
    places: &'a [u8],
}

impl<'a> Row<'a> {
    /// Indices and amounts of the same outputs, one for each key.
    pub fn places(&self) -> impl Iterator<Item = OutputPlace> + use<'a> {
        let (keys, mut rest) = (self.keys, self.places);
        // All of them are there: checked when the block was read.
        keys.iter().map_while(move |_| place(&mut rest))
    }
}

impl BlockRows {
    /// `None` if the bytes are not an encoded block.
    pub(super) fn from_bytes(height: u32, hash: BlockHash, bytes: Vec<u8>) -> Option<(Self, Vec<Spend>)> {
        let mut columns = Columns::of(&bytes)?;
        let mut rows = Vec::with_capacity(columns.txids.len());
        let (mut keys, mut seen) = (0usize, 0);
        for _ in columns.txids {
            let head = TxHead::take(&mut columns.rest, &mut seen)?;
            keys = keys.checked_add(head.outputs)?;
            rows.push(Ends {
                keys,
                places: bytes.len() - columns.rest.len(),
            });
            for _ in 0..head.outputs {
                place(&mut columns.rest)?;
            }
        }
        let is_whole = keys == columns.keys.len() && seen <= columns.spends;
        let spends = columns.spends(height)?;
        let block = Self {
            height,
            hash,
            spent: Vec::new(),
            bytes,
            rows,
        };
        is_whole.then_some((block, spends))
    }

    /// The eligible transactions, in block order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let columns = Columns::of(&self.bytes);
        let transactions = columns.into_iter().flat_map(|columns| {
            let ids = columns.tweaks.iter().zip(columns.txids);
            ids.map(move |(tweak, txid)| (columns.keys, tweak, txid))
        });
        let mut first = 0;
        self.rows
            .iter()
            .zip(transactions)
            .map(move |(ends, (keys, tweak, txid))| {
                let own = keys.get(first..ends.keys).unwrap_or_default();
                first = ends.keys;
                Row {
                    txid,
                    tweak,
                    keys: own,
                    places: self.bytes.get(ends.places..).unwrap_or_default(),
                }
            })
    }

    /// Positions of its outputs.
    pub(super) fn places(&self) -> impl Iterator<Item = (OutPoint, Place)> + '_ {
        let height = self.height;
        let outputs = (0..).zip(self.rows()).flat_map(|(tx, row)| {
            let txid = Txid::from_byte_array(*row.txid);
            row.places().map(move |place| (tx, OutPoint::new(txid, place.vout)))
        });
        (0..)
            .zip(outputs)
            .map(move |(output, (tx, outpoint))| (outpoint, Place { height, tx, output }))
    }
}
