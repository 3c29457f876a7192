//! The bytes of a block.
//!
//! Layout: time `u32`, numbers of transactions, outputs and spent outputs as `u32` each, all little-endian; then by
//! columns: tweaks (33 bytes each), output keys (32 each), txids (32 each); then for each transaction: its number of
//! outputs, fee plus one (0: unknown), size, how many spent outputs lie between those of the previous transaction and
//! its own, how many are its own, and for each output vout and satoshis, each number as LEB128; and last the spent
//! outputs, as `spend` describes.

use std::ops::Range;

use bitcoin::Amount;

use super::bytes::{column, get, take};
use super::output::OutputPlace;
use super::spend::Spend;

/// Bytes before the columns.
pub(super) const HEAD: usize = 16;

/// The parts of an encoded block.
pub(super) struct Columns<'a> {
    pub(super) time: u32,
    pub(super) tweaks: &'a [[u8; 33]],
    /// Of all transactions.
    pub(super) keys: &'a [[u8; 32]],
    pub(super) txids: &'a [[u8; 32]],
    /// How many spent outputs there are.
    pub(super) spends: usize,
    /// What comes after the columns.
    pub(super) rest: &'a [u8],
}

impl<'a> Columns<'a> {
    /// `None` if the bytes are fewer than they say.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let time = u32::from_le_bytes(take(&mut rest)?);
        let mut count = || usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok();
        let (txs, outputs, spends) = (count()?, count()?, count()?);
        Some(Self {
            time,
            tweaks: column(&mut rest, txs)?,
            keys: column(&mut rest, outputs)?,
            txids: column(&mut rest, txs)?,
            spends,
            rest,
        })
    }

    /// The spent outputs, if `rest` has them and nothing else: after the transactions.
    pub(super) fn spends(mut self, height: u32) -> Option<Vec<Spend>> {
        let spends = (0..self.spends).map(|_| Spend::take(height, &mut self.rest));
        let spends = spends.collect::<Option<_>>()?;
        self.rest.is_empty().then_some(spends)
    }
}

/// What stands before the places of a transaction's outputs.
pub(super) struct TxHead {
    /// Number of its taproot outputs.
    pub(super) outputs: usize,
    pub(super) fee: Option<u64>,
    pub(super) size: u32,
    /// Range of the block's spent outputs that it spends.
    pub(super) spends: Range<usize>,
}

impl TxHead {
    /// `seen` is the end of the range of the transaction before, and then that of this one.
    pub(super) fn take(rest: &mut &[u8], seen: &mut usize) -> Option<Self> {
        let outputs = usize::try_from(get(rest)?).ok()?;
        let (fee, size) = (get(rest)?.checked_sub(1), u32::try_from(get(rest)?).ok()?);
        let first = seen.checked_add(usize::try_from(get(rest)?).ok()?)?;
        *seen = first.checked_add(usize::try_from(get(rest)?).ok()?)?;
        Some(Self {
            outputs,
            fee,
            size,
            spends: first..*seen,
        })
    }
}

/// Index and amount of an output.
pub(super) fn place(rest: &mut &[u8]) -> Option<OutputPlace> {
    Some(OutputPlace {
        vout: u32::try_from(get(rest)?).ok()?,
        amount: Amount::from_sat(get(rest)?),
    })
}
