//! Finds what spends an output of the index.
//!
//! The index stores no row for this: the spends of each block are in its bytes, either in full or by the position of
//! the output, and a spend by position is at most [`OUTPUTS`] outputs above it. So the block of a spend in full comes
//! from the table `spent`, and that of a spend by position from a search in the blocks above the output.

use std::collections::BTreeMap;
use std::ops::Range;

use bitcoin::hashes::Hash as _;
use bitcoin::{BlockHash, OutPoint, Txid};
use redb::ReadOnlyTable;
use sdk_relay_files::{File, Open};

use super::block::BlockSpends;
use super::read::mark;
use super::recent::OUTPUTS;
use super::spend::{Place, Spend};
use super::{BLOCKS, BLOCKS_PER_SEGMENT, Damage, IndexError, MARKS, RECORD, Record, SPENT, TweakIndex, spent_key};

/// Bytes that one read of a search returns at most, unless a block has more.
const READ_BYTES: u64 = 1 << 20;

/// The transaction that spends an output, as far as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spender {
    /// Height of its block.
    pub height: u32,
    /// Hash of that block.
    pub hash: BlockHash,
    /// Time of that block, in Unix seconds; 0 if the copy of the block is damaged and cannot be restored.
    pub time: u32,
    /// Its txid; `None` if it is not eligible (BIP352), because only the block on the node has it then.
    pub txid: Option<Txid>,
}

impl TweakIndex {
    /// For each output, given by the height of its block and its outpoint: what spends it in a block of the index.
    /// `None` for one that is not spent, and for outpoints that are not of an eligible transaction of that block. The
    /// answers are as of one tip.
    ///
    /// Fails with [`IndexError::Corrupt`] while a block that has to be read is damaged and may be restored: the spends
    /// in it are not known. Those in a block that is [lost](super::Damage::Lost) are not found.
    ///
    /// Costs a look-up in the database for each output, and for those that were spent soon a search: at most the blocks
    /// of the next [`OUTPUTS`] outputs are read, once for all outputs together where their blocks are close.
    pub fn spenders(&self, outputs: &[(u32, OutPoint)]) -> Result<Vec<Option<Spender>>, IndexError> {
        let read = self.db.begin_read()?;
        let view = View {
            index: self,
            blocks: read.open_table(BLOCKS)?,
        };
        let (marks, named) = (read.open_table(MARKS)?, read.open_table(SPENT)?);
        let mut found = vec![None; outputs.len()];
        let mut of_block: BTreeMap<u32, Vec<(usize, OutPoint)>> = BTreeMap::new();
        for (n, (height, outpoint)) in outputs.iter().enumerate() {
            let row = named.get(spent_key(outpoint))?.map(|height| height.value());
            match (row, found.get_mut(n)) {
                (Some(height), Some(found)) => *found = view.by_name(height, outpoint)?,
                _ => of_block.entry(*height).or_default().push((n, *outpoint)),
            }
        }
        let mut wanted: BTreeMap<Place, usize> = BTreeMap::new();
        for (height, outputs) in of_block {
            let Some(record) = view.record(height)? else { continue };
            let marks = marks.get(height)?;
            let Some(marks) = marks.as_ref().map(redb::AccessGuard::value) else {
                continue;
            };
            let Some(stored) = self.read(height, record)? else {
                self.check_unreadable(height, record)?;
                continue;
            };
            for (outpoint, place) in stored.block.places() {
                let (byte, bit) = mark(place);
                let is_marked = marks.get(byte).is_some_and(|b| b & bit != 0);
                let wanted_here = outputs.iter().filter(|(_, wanted)| is_marked && *wanted == outpoint);
                wanted.extend(wanted_here.map(|(n, _)| (place, *n)));
            }
        }
        view.search(wanted, &mut found)?;
        Ok(found)
    }

    /// The bytes of this block do not match its record: fails if it may be restored. What it spends cannot be known if
    /// it is lost. If a reorganisation has replaced it, the answers are of no chain, which the caller sees by the tip.
    fn check_unreadable(&self, height: u32, record: Record) -> Result<(), IndexError> {
        if self.damage_at(height) == Some(Damage::Lost) || self.record(height)? != Some(record) {
            return Ok(());
        }
        Err(self.corrupt(height))
    }
}

/// Height and record of a block, and its spends: `None` if its copy is damaged.
type ReadBlock = (u32, Record, Option<BlockSpends>);

/// The index as of one tip.
struct View<'a> {
    index: &'a TweakIndex,
    blocks: ReadOnlyTable<u32, &'static [u8; RECORD]>,
}

impl View<'_> {
    fn record(&self, height: u32) -> Result<Option<Record>, IndexError> {
        Ok(self.blocks.get(height)?.map(|r| Record::from_bytes(r.value())))
    }

    /// The spender of an output that the block at this height spends by name.
    fn by_name(&self, height: u32, outpoint: &OutPoint) -> Result<Option<Spender>, IndexError> {
        let Some(record) = self.record(height)? else {
            return Ok(None);
        };
        let bytes = self.index.read_bytes(height, record)?;
        let Some(block) = bytes.and_then(|bytes| BlockSpends::from_bytes(height, &bytes)) else {
            self.index.check_unreadable(height, record)?;
            // The row says that it is spent there.
            return Ok(Some(Spender {
                height,
                hash: record.hash,
                time: 0,
                txid: None,
            }));
        };
        // Another output may have the same key.
        let is_it = |spend: &Spend| matches!(spend, Spend::Named(spent) if spent.outpoint == *outpoint);
        let position = block.spends.iter().position(is_it);
        Ok(position.map(|position| block.spender(height, record.hash, position)))
    }

    /// Searches for the spenders of outputs that are spent by position.
    fn search(&self, mut wanted: BTreeMap<Place, usize>, found: &mut [Option<Spender>]) -> Result<(), IndexError> {
        // Outputs from the first block of the search up to, and without, each block of a wanted output.
        let mut before: BTreeMap<u32, usize> = BTreeMap::new();
        let mut outputs = 0;
        let mut next = 0;
        while let Some((lowest, _)) = wanted.first_key_value() {
            next = next.max(lowest.height);
            let blocks = self.read_from(next)?;
            if blocks.is_empty() {
                return Ok(());
            }
            for (height, record, block) in blocks {
                next = height.saturating_add(1);
                before.insert(height, outputs);
                let Some(block) = block else {
                    self.index.check_unreadable(height, record)?;
                    continue;
                };
                outputs += block.outputs;
                for (position, spend) in block.spends.iter().enumerate() {
                    if let Spend::Known { place, .. } = spend
                        && let Some(n) = wanted.remove(place)
                        && let Some(found) = found.get_mut(n)
                    {
                        *found = Some(block.spender(height, record.hash, position));
                    }
                }
                // The writer no longer knew the position of an output that is further below.
                wanted.retain(|place, _| {
                    place.height > height
                        || before
                            .get(&place.height)
                            .is_none_or(|before| outputs - before <= OUTPUTS)
                });
            }
        }
        Ok(())
    }

    /// Consecutive blocks from this height, as many as one read returns.
    fn read_from(&self, from: u32) -> Result<Vec<ReadBlock>, IndexError> {
        let segment = from / BLOCKS_PER_SEGMENT;
        let mut records: Vec<(u32, Record)> = Vec::new();
        for item in self.blocks.range(from..)? {
            let (height, record) = item?;
            let (height, record) = (height.value(), Record::from_bytes(record.value()));
            let bytes = records.first().map_or(0, |(_, first)| record.end() - first.offset);
            if height / BLOCKS_PER_SEGMENT != segment || bytes > READ_BYTES {
                break;
            }
            records.push((height, record));
        }
        // The first block of the next segment.
        let Some((first, last)) = records.first().zip(records.last()) else {
            return match self.blocks.range(from..)?.next() {
                Some(item) => self.read_from(item?.0.value()),
                None => Ok(Vec::new()),
            };
        };
        let range = first.1.offset..last.1.end();
        let path = self.index.segment(segment);
        let bytes = match Open::reading().open(&path).and_then(|file| read(&file, &range)) {
            Ok(bytes) => bytes,
            // Its blocks count as damaged, as in a scan.
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot read blocks of the index to find a spend");
                Vec::new()
            }
        };
        let block = |(height, record): (u32, Record)| {
            let start = usize::try_from(record.offset - range.start).ok();
            let own = start.and_then(|start| bytes.get(start..)?.get(..record.length as usize));
            let own = own.filter(|own| crc32fast::hash(own) == record.crc);
            let block = own.and_then(|own| BlockSpends::from_bytes(height, own));
            (height, record, block)
        };
        Ok(records.into_iter().map(block).collect())
    }
}

fn read(file: &File, range: &Range<u64>) -> std::io::Result<Vec<u8>> {
    // Allocate at most the size of the file, whatever length the records state.
    let end = range.end.min(file.size()?);
    let length = end.saturating_sub(range.start);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

impl BlockSpends {
    fn spender(&self, height: u32, hash: BlockHash, position: usize) -> Spender {
        let of_tx = |(range, _): &&(Range<usize>, [u8; 32])| range.contains(&position);
        let txid = self.eligible.iter().find(of_tx);
        Spender {
            height,
            hash,
            time: self.time,
            txid: txid.map(|(_, txid)| Txid::from_byte_array(*txid)),
        }
    }
}
