//! One block of the index, and its bytes (`layout`).

use std::ops::Range;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Block, BlockHash, OutPoint, Transaction, TxOut, Txid};
use sdk_relay_bip352::{EligibleTx, TaprootOutput};

use super::bytes::put;
use super::layout::{Columns, HEAD, TxHead, place};
use super::output::{OutputPlace, SpentOutput};
use super::spend::{Place, Spend};

/// A block of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedBlock {
    /// Height.
    pub height: u32,
    /// Hash of its header.
    pub hash: BlockHash,
    /// Time of the header, in Unix seconds.
    pub time: u32,
    /// The eligible transactions (BIP352), in block order.
    pub transactions: Vec<IndexedTx>,
    /// Every taproot output that the block spends, whether or not it is an output of an eligible transaction, in block
    /// order. Empty if only the transactions were requested.
    pub spent: Vec<SpentOutput>,
}

/// An eligible transaction, with the data for a scan and a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedTx {
    /// Transaction id.
    pub txid: Txid,
    /// `input_hash·A`, compressed.
    pub tweak: [u8; 33],
    /// X coordinates of its taproot outputs, in the transaction's order; all of them, spent ones too.
    pub keys: Vec<[u8; 32]>,
    /// Indices and amounts of the same outputs, one for each key.
    pub places: Vec<OutputPlace>,
    /// In satoshis; `None` if the prevouts do not give it.
    pub fee: Option<u64>,
    /// Serialised size in bytes, witness included.
    pub size: u32,
    /// Range of the block's `spent` that this transaction spends.
    pub spends: Range<usize>,
}

/// A decoded block. Its spent outputs may refer to their position in another block.
#[derive(Debug)]
pub(super) struct Stored {
    /// The block, without its spent outputs.
    pub(super) block: IndexedBlock,
    pub(super) spends: Vec<Spend>,
}

/// The spent outputs of an encoded block, and which eligible transactions spend them.
#[derive(Debug)]
pub(super) struct BlockSpends {
    pub(super) time: u32,
    /// Taproot outputs of its eligible transactions.
    pub(super) outputs: usize,
    /// The spends of each eligible transaction that has some, in order, and its txid.
    pub(super) eligible: Vec<(Range<usize>, [u8; 32])>,
    pub(super) spends: Vec<Spend>,
}

impl BlockSpends {
    /// `None` if the bytes are not an encoded block. Allocates for the spends only.
    pub(super) fn from_bytes(height: u32, bytes: &[u8]) -> Option<Self> {
        let mut columns = Columns::of(bytes)?;
        let (mut eligible, mut seen) = (Vec::new(), 0);
        for txid in columns.txids {
            let head = TxHead::take(&mut columns.rest, &mut seen)?;
            if !head.spends.is_empty() {
                eligible.push((head.spends, *txid));
            }
            for _ in 0..head.outputs {
                place(&mut columns.rest)?;
            }
        }
        Some(Self {
            time: columns.time,
            outputs: columns.keys.len(),
            eligible,
            spends: columns.spends(height)?,
        })
    }
}

impl IndexedBlock {
    /// The index entry of a block. `prevouts` has one entry for each transaction, one prevout for each of its inputs;
    /// that of the coinbase is empty. `tweak`, called in block order, returns the tweak of each eligible transaction,
    /// and `None` for any other.
    pub fn with_tweaks(
        height: u32,
        hash: BlockHash,
        block: &Block,
        prevouts: &[Vec<TxOut>],
        mut tweak: impl FnMut(&Transaction, &[TxOut]) -> Option<PublicKey>,
    ) -> Self {
        let (mut transactions, mut spent) = (Vec::new(), Vec::new());
        for (tx, prevouts) in block.txdata.iter().zip(prevouts) {
            let first = spent.len();
            spent.extend(SpentOutput::of(tx, prevouts));
            transactions.extend(tweak(tx, prevouts).map(|tweak| IndexedTx {
                spends: first..spent.len(),
                ..IndexedTx::with_tweak(tx, prevouts, tweak)
            }));
        }
        Self {
            height,
            hash,
            time: block.header.time,
            transactions,
            spent,
        }
    }

    /// The taproot outputs that a transaction of the block spends.
    pub fn spent_by(&self, tx: &IndexedTx) -> &[SpentOutput] {
        self.spent.get(tx.spends.clone()).unwrap_or_default()
    }

    /// The encoded block. `place` returns the position of outputs of the index, including those of this block.
    pub(super) fn to_bytes(&self, place: impl Fn(&OutPoint) -> Option<Place>) -> (Vec<u8>, Vec<Spend>) {
        let outputs: usize = self.transactions.iter().map(|t| t.keys.len()).sum();
        let mut bytes = Vec::with_capacity(HEAD + self.transactions.len() * 80 + outputs * 40 + self.spent.len() * 44);
        bytes.extend_from_slice(&self.time.to_le_bytes());
        for count in [self.transactions.len(), outputs, self.spent.len()] {
            // A block has less than 4,000,000 bytes.
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        for tx in &self.transactions {
            bytes.extend_from_slice(&tx.tweak);
        }
        for key in self.transactions.iter().flat_map(|t| &t.keys) {
            bytes.extend_from_slice(key);
        }
        for tx in &self.transactions {
            bytes.extend_from_slice(tx.txid.as_byte_array());
        }
        let mut spent = 0;
        for tx in &self.transactions {
            put(&mut bytes, tx.places.len() as u64);
            put(&mut bytes, tx.fee.map_or(0, |fee| fee.saturating_add(1)));
            put(&mut bytes, u64::from(tx.size));
            put(&mut bytes, tx.spends.start.saturating_sub(spent) as u64);
            put(&mut bytes, tx.spends.len() as u64);
            spent = tx.spends.end;
            for place in &tx.places {
                put(&mut bytes, u64::from(place.vout));
                put(&mut bytes, place.amount.to_sat());
            }
        }
        let spends = self.spent.iter().map(|spent| match place(&spent.outpoint) {
            Some(place) => Spend::Known {
                place,
                vout: spent.outpoint.vout,
            },
            None => Spend::Named(*spent),
        });
        let spends: Vec<Spend> = spends.collect();
        for spend in &spends {
            spend.put(self.height, &mut bytes);
        }
        (bytes, spends)
    }

    /// Positions of its outputs.
    pub(super) fn places(&self) -> impl Iterator<Item = (OutPoint, Place)> + '_ {
        let outputs = (0..).zip(&self.transactions).flat_map(|(tx, row)| {
            row.places
                .iter()
                .map(move |place| (tx, OutPoint::new(row.txid, place.vout)))
        });
        let height = self.height;
        (0..)
            .zip(outputs)
            .map(move |(output, (tx, outpoint))| (outpoint, Place { height, tx, output }))
    }

    /// The output at this position of an encoded block: its txid, and the first 8 bytes of its key.
    pub(super) fn output_in(bytes: &[u8], place: Place) -> Option<(Txid, [u8; 8])> {
        let columns = Columns::of(bytes)?;
        let key = columns.keys.get(usize::try_from(place.output).ok()?)?;
        let txid = columns.txids.get(usize::try_from(place.tx).ok()?)?;
        Some((Txid::from_byte_array(*txid), *key.first_chunk()?))
    }

    /// `None` if the bytes are not an encoded block.
    pub(super) fn from_bytes(height: u32, hash: BlockHash, bytes: &[u8]) -> Option<Stored> {
        let mut columns = Columns::of(bytes)?;
        let mut keys = columns.keys.iter();
        let mut transactions = Vec::with_capacity(columns.txids.len());
        let mut seen = 0;
        for (tweak, txid) in columns.tweaks.iter().zip(columns.txids) {
            let head = TxHead::take(&mut columns.rest, &mut seen)?;
            let keys: Vec<_> = keys.by_ref().take(head.outputs).copied().collect();
            if keys.len() != head.outputs {
                return None;
            }
            transactions.push(IndexedTx {
                txid: Txid::from_byte_array(*txid),
                tweak: *tweak,
                places: (0..head.outputs)
                    .map(|_| place(&mut columns.rest))
                    .collect::<Option<_>>()?,
                keys,
                fee: head.fee,
                size: head.size,
                spends: head.spends,
            });
        }
        let block = Self {
            height,
            hash,
            time: columns.time,
            transactions,
            spent: Vec::new(),
        };
        let is_whole = keys.next().is_none() && seen <= columns.spends;
        let spends = columns.spends(height)?;
        is_whole.then_some(Stored { block, spends })
    }
}

impl IndexedTx {
    /// An index entry of a single transaction, as if it were the only one in its block.
    fn with_tweak(tx: &Transaction, prevouts: &[TxOut], tweak: PublicKey) -> Self {
        let EligibleTx { txid, tweak, outputs } = EligibleTx::with_tweak(tx, tweak);
        let spent = prevouts
            .iter()
            .try_fold(Amount::ZERO, |sum, o| sum.checked_add(o.value));
        let made = tx
            .output
            .iter()
            .try_fold(Amount::ZERO, |sum, o| sum.checked_add(o.value));
        Self {
            txid,
            tweak: tweak.serialize(),
            keys: outputs.iter().map(|o| o.key).collect(),
            places: outputs
                .iter()
                .map(|o| OutputPlace {
                    vout: o.vout,
                    amount: o.amount,
                })
                .collect(),
            fee: spent
                .zip(made)
                .and_then(|(spent, made)| spent.checked_sub(made))
                .map(Amount::to_sat),
            size: u32::try_from(tx.total_size()).unwrap_or(u32::MAX),
            spends: 0..SpentOutput::of(tx, prevouts).count(),
        }
    }

    /// Its taproot outputs.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = TaprootOutput> + '_ {
        self.keys.iter().zip(&self.places).map(|(key, place)| TaprootOutput {
            vout: place.vout,
            key: *key,
            amount: place.amount,
        })
    }

    /// Input of the scanner of single transactions, with the tweak decompressed. `None` if the tweak is not a point on
    /// the curve, which this program never writes.
    pub fn eligible(&self) -> Option<EligibleTx> {
        Some(EligibleTx {
            txid: self.txid,
            tweak: PublicKey::from_slice(&self.tweak).ok()?,
            outputs: self.outputs().collect(),
        })
    }
}

impl SpentOutput {
    fn of<'a>(tx: &'a Transaction, prevouts: &'a [TxOut]) -> impl Iterator<Item = Self> + 'a {
        tx.input.iter().zip(prevouts).filter_map(|(input, prevout)| {
            let script = prevout.script_pubkey.as_script();
            let key_prefix = script.is_p2tr().then(|| script.as_bytes().get(2..10))??;
            Some(Self {
                outpoint: input.previous_output,
                key_prefix: key_prefix.try_into().ok()?,
            })
        })
    }
}
