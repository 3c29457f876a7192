//! The tweak index: for each block, the eligible transactions (BIP352), and the taproot outputs that the block spends.
//!
//! Guarantees:
//!
//! - The index is a contiguous part of one chain, from its first block to its tip. Readers see complete batches only.
//! - [`TweakIndex::append`] and [`TweakIndex::rewind`] are durable when they return, and atomic: a kill at any
//!   instruction leaves the state before or after.
//! - `rewind` removes all data of the removed blocks, from the files and from the table of spent outputs, at any depth.
//! - A block with damaged bytes is quarantined (`damage`); all other blocks remain readable. A damaged database is
//!   replaced by an empty one (`rebuild`).
//! - Reading decompresses no points: tweaks and output keys are returned as bytes.
//!
//! # Files (format 2)
//!
//! A directory with `index.redb` (a redb database) and segments `NNNNNN.rows`, of [`BLOCKS_PER_SEGMENT`] heights each.
//! Bytes are appended to a segment and synchronised before the commit of the database that refers to them. Bytes after
//! the last committed block are left over from a kill, and are truncated. `layout` describes a block's bytes.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `start_height` as `u64` |
//! | `names` | name | `network` as text |
//! | `blocks` | height `u32` | hash 32 bytes; then little-endian: offset in its segment `u64`, length `u32`, CRC-32 `u32`, transactions `u32` |
//! | `marks` | height `u32` | a bit for each taproot output of the block's transactions, the lowest first: set where a block spends it |
//! | `spent` | outpoint as `u64`: first 8 bytes of the txid, little-endian, plus vout times 2⁶⁴/φ | height `u32` of the block that spends it |
//!
//! A spent output whose position the writer had cached (`recent`) has a bit in `marks`; any other has a row in `spent`.
//! The key of `spent` has 64 bits: a targeted collision costs 2⁶⁴ work, and the probability that a given outpoint
//! collides with one of a billion others by chance is below 10⁻¹⁰.

mod block;
mod bytes;
mod damage;
mod error;
mod layout;
mod open;
mod output;
mod read;
mod rebuild;
mod recent;
mod rows;
mod spend;
mod spender;
mod write;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::TableDefinition;

use crate::db::Db;

pub use block::{IndexedBlock, IndexedTx};
pub use damage::Damage;
pub use error::IndexError;
pub use output::{OutputPlace, SpentOutput};
pub use read::IndexTip;
pub use rebuild::{DATABASE, Rebuild};
pub use rows::{BlockRows, Row};
pub use spender::Spender;

/// Number of heights in one segment. On mainnet a segment grows to half a gigabyte: few files, none too large to copy.
pub const BLOCKS_PER_SEGMENT: u32 = 4096;

/// Cache size of the database. The hot pages are the end of `blocks`; `spent` is accessed at random and gains little
/// from a larger cache.
const CACHE_BYTES: usize = 32 << 20;

const FORMAT: u64 = 2;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
const BLOCKS: TableDefinition<'_, u32, &[u8; RECORD]> = TableDefinition::new("blocks");
const MARKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("marks");
const SPENT: TableDefinition<'_, u64, u32> = TableDefinition::new("spent");
const RECORD: usize = 52;
const META_FORMAT: &str = "format";
const META_START: &str = "start_height";
const NAME_NETWORK: &str = "network";

/// The tweak index of one relay. It may be shared between threads; one task at a time writes.
#[derive(Debug)]
pub struct TweakIndex {
    db: Db,
    dir: PathBuf,
    network: String,
    start_height: u32,
    recent: Mutex<recent::Recent>,
    damaged: damage::Damaged,
    rebuilding: rebuild::Rebuilding,
}

/// Location of the bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    hash: bitcoin::BlockHash,
    offset: u64,
    length: u32,
    crc: u32,
    transactions: u32,
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        use bitcoin::hashes::Hash;
        let mut bytes = [0; RECORD];
        bytes[..32].copy_from_slice(&self.hash.to_byte_array());
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.length.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.crc.to_le_bytes());
        bytes[48..].copy_from_slice(&self.transactions.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Self {
        use bitcoin::hashes::Hash;
        let (mut hash, mut offset) = ([0; 32], [0; 8]);
        hash.copy_from_slice(&bytes[..32]);
        offset.copy_from_slice(&bytes[32..40]);
        let number = |at: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(four)
        };
        Self {
            hash: bitcoin::BlockHash::from_byte_array(hash),
            offset: u64::from_le_bytes(offset),
            length: number(40),
            crc: number(44),
            transactions: number(48),
        }
    }

    fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }
}

impl TweakIndex {
    fn recent(&self) -> MutexGuard<'_, recent::Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:06}.rows"))
    }
}

fn spent_key(outpoint: &bitcoin::OutPoint) -> u64 {
    use bitcoin::hashes::Hash;
    /// 2⁶⁴ divided by the golden ratio, odd: spreads the outputs of one transaction.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut first = [0; 8];
    first.copy_from_slice(&outpoint.txid.to_byte_array()[..8]);
    u64::from_le_bytes(first).wrapping_add(u64::from(outpoint.vout).wrapping_mul(STEP))
}

#[cfg(test)]
mod tests;
