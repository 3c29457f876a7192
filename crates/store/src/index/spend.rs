//! Encoding of a spent output.
//!
//! Layout, numbers as LEB128: 0, then the txid (32 bytes), vout, and the first 8 bytes of the key; or, for a cached
//! output of the index, one plus the number of blocks from its block to this one, the position of its transaction among
//! the eligible ones of its block, the position of the output among all of theirs, and vout: 6 bytes instead of 42.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};

use super::bytes::{get, put, take};
use super::output::SpentOutput;

/// Position of an output in the index. The order is that of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Height of its block.
    pub(super) height: u32,
    /// Position of its transaction among the eligible ones of the block.
    pub(super) tx: u32,
    /// Its position among all taproot outputs of those.
    pub(super) output: u32,
}

/// A spent output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spend {
    /// By position.
    Known { place: Place, vout: u32 },
    /// In full.
    Named(SpentOutput),
}

impl Spend {
    /// Appends it to the bytes of the block at `height`.
    pub(super) fn put(&self, height: u32, bytes: &mut Vec<u8>) {
        match self {
            Self::Known { place, vout } => {
                put(bytes, u64::from(height.saturating_sub(place.height)) + 1);
                for number in [place.tx, place.output, *vout] {
                    put(bytes, u64::from(number));
                }
            }
            Self::Named(SpentOutput { outpoint, key_prefix }) => {
                put(bytes, 0);
                bytes.extend_from_slice(outpoint.txid.as_byte_array());
                put(bytes, u64::from(outpoint.vout));
                bytes.extend_from_slice(key_prefix);
            }
        }
    }

    pub(super) fn take(height: u32, rest: &mut &[u8]) -> Option<Self> {
        let number = |rest: &mut &[u8]| u32::try_from(get(rest)?).ok();
        let Some(above) = number(rest)?.checked_sub(1) else {
            return Some(Self::Named(SpentOutput {
                outpoint: OutPoint {
                    txid: Txid::from_byte_array(take(rest)?),
                    vout: number(rest)?,
                },
                key_prefix: take(rest)?,
            }));
        };
        Some(Self::Known {
            place: Place {
                height: height.checked_sub(above)?,
                tx: number(rest)?,
                output: number(rest)?,
            },
            vout: number(rest)?,
        })
    }
}
