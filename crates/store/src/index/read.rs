//! Read access to the index.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bitcoin::{BlockHash, OutPoint};
use redb::ReadableTable;
use sdk_relay_files::{Open, size_of_tree};

use super::block::Stored;
use super::spend::{Place, Spend};
use super::{
    BLOCKS, BLOCKS_PER_SEGMENT, BlockRows, IndexError, IndexedBlock, MARKS, Record, SPENT, SpentOutput, TweakIndex,
    spent_key,
};

/// Bytes of blocks that one call of [`TweakIndex::blocks`] reads: a mainnet block has about 100 kB.
const READ_BYTES: u64 = 8 << 20;

/// The newest block of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexTip {
    /// Height.
    pub height: u32,
    /// Hash.
    pub hash: BlockHash,
}

impl TweakIndex {
    /// The configured first height; the index begins higher only if the node has pruned that block.
    pub fn start_height(&self) -> u32 {
        self.start_height
    }

    /// The lowest block of the index; `None` while it is empty.
    pub fn first(&self) -> Result<Option<IndexTip>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        Ok(table
            .first()?
            .map(|(height, record)| tip(height.value(), record.value())))
    }

    /// The newest block of the index; `None` while it is empty.
    pub fn tip(&self) -> Result<Option<IndexTip>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        Ok(table
            .last()?
            .map(|(height, record)| tip(height.value(), record.value())))
    }

    /// Hash of the block at this height; `None` outside the index.
    pub fn hash_at(&self, height: u32) -> Result<Option<BlockHash>, IndexError> {
        Ok(self.record(height)?.map(|record| record.hash))
    }

    /// The complete block at this height; `None` outside the index.
    pub fn block(&self, height: u32) -> Result<Option<IndexedBlock>, IndexError> {
        self.at(height, |record, bytes| {
            let Some(Stored { mut block, spends }) = IndexedBlock::from_bytes(height, record.hash, &bytes) else {
                return Ok(None);
            };
            Ok(self.resolved(spends)?.map(|spent| {
                block.spent = spent;
                block
            }))
        })
    }

    /// The block at this height, without its spent outputs; `None` outside the index.
    pub fn transactions(&self, height: u32) -> Result<Option<IndexedBlock>, IndexError> {
        self.at(height, |record, bytes| {
            let stored = IndexedBlock::from_bytes(height, record.hash, &bytes);
            Ok(stored.map(|stored| stored.block))
        })
    }

    /// As [`Self::block`], with the transactions in place: for those that read many blocks, and each only once.
    pub fn block_rows(&self, height: u32) -> Result<Option<BlockRows>, IndexError> {
        self.at(height, |record, bytes| {
            let Some((mut block, spends)) = BlockRows::from_bytes(height, record.hash, bytes) else {
                return Ok(None);
            };
            Ok(self.resolved(spends)?.map(|spent| {
                block.spent = spent;
                block
            }))
        })
    }

    /// As [`Self::transactions`], with the transactions in place.
    pub fn transaction_rows(&self, height: u32) -> Result<Option<BlockRows>, IndexError> {
        self.at(height, |record, bytes| {
            let rows = BlockRows::from_bytes(height, record.hash, bytes);
            Ok(rows.map(|(block, _)| block))
        })
    }

    /// `decode` returns `None` for bytes that are not those of the block, now.
    fn at<T>(
        &self,
        height: u32,
        decode: impl Fn(Record, Vec<u8>) -> Result<Option<T>, IndexError>,
    ) -> Result<Option<T>, IndexError> {
        let mut record = self.record(height)?;
        while let Some(found) = record {
            let bytes = self.read_or_set_aside(height, found)?;
            match bytes.map_or(Ok(None), |bytes| decode(found, bytes))? {
                Some(block) => return Ok(Some(block)),
                None => {
                    // A reorganisation may have put another block into the same bytes since the record was looked up.
                    record = self.record(height)?;
                    if record == Some(found) {
                        return Err(self.corrupt(height));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Consecutive blocks of one chain from this height, without their spent outputs, up to a total of `transactions`
    /// or 8 MiB, or to the end of the index: at least one, if there is one. The result ends before a damaged block; it
    /// is an error if the first block is damaged.
    pub fn blocks(&self, from: u32, transactions: usize) -> Result<Vec<IndexedBlock>, IndexError> {
        'again: loop {
            let records = self.records(from, transactions)?;
            let mut blocks = Vec::with_capacity(records.len());
            for (height, record) in records {
                let bytes = self.read_or_set_aside(height, record)?;
                match bytes.and_then(|bytes| IndexedBlock::from_bytes(height, record.hash, &bytes)) {
                    Some(stored) => blocks.push(stored.block),
                    None if self.record(height)? == Some(record) => {
                        let corrupt = self.corrupt(height);
                        if blocks.is_empty() {
                            return Err(corrupt);
                        }
                        // Return the blocks before it.
                        break;
                    }
                    None => continue 'again,
                }
            }
            return Ok(blocks);
        }
    }

    /// For each taproot output of the block's transactions, in order, whether a block of the index spends it. All
    /// answers are as of the same tip; for a block that is no longer in the index, all are false.
    pub fn are_spent(&self, block: &IndexedBlock) -> Result<Vec<bool>, IndexError> {
        self.spent_at(block.height, block.hash, block.places())
    }

    /// As [`Self::are_spent`].
    pub fn are_rows_spent(&self, block: &BlockRows) -> Result<Vec<bool>, IndexError> {
        self.spent_at(block.height, block.hash, block.places())
    }

    fn spent_at(
        &self,
        height: u32,
        hash: BlockHash,
        outputs: impl Iterator<Item = (OutPoint, Place)>,
    ) -> Result<Vec<bool>, IndexError> {
        let read = self.db.begin_read()?;
        let record = read.open_table(BLOCKS)?.get(height)?;
        if record.is_none_or(|r| Record::from_bytes(r.value()).hash != hash) {
            return Ok(outputs.map(|_| false).collect());
        }
        let marks = read.open_table(MARKS)?.get(height)?;
        let marks = marks.as_ref().map(redb::AccessGuard::value).unwrap_or_default();
        let table = read.open_table(SPENT)?;
        let spent = outputs.map(|(outpoint, place)| {
            let (byte, bit) = mark(place);
            let marked = marks.get(byte).is_some_and(|b| b & bit != 0);
            Ok(marked || table.get(spent_key(&outpoint))?.is_some())
        });
        spent.collect()
    }

    /// Total size of all files in bytes, for metrics.
    pub fn size_on_disk(&self) -> Result<u64, IndexError> {
        size_of_tree(&self.dir).map_err(|source| IndexError::File {
            path: self.dir.clone(),
            source,
        })
    }

    /// Eligible transactions of the blocks from `from` to `to`.
    pub fn transactions_between(&self, from: u32, to: u32) -> Result<u64, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let mut sum = 0;
        for item in table.range(from..=to)? {
            sum += u64::from(Record::from_bytes(item?.1.value()).transactions);
        }
        Ok(sum)
    }

    pub(super) fn last_record(&self) -> Result<Option<(u32, Record)>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        Ok(table
            .last()?
            .map(|(height, record)| (height.value(), Record::from_bytes(record.value()))))
    }

    pub(super) fn record(&self, height: u32) -> Result<Option<Record>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        Ok(table.get(height)?.map(|r| Record::from_bytes(r.value())))
    }

    fn records(&self, from: u32, transactions: usize) -> Result<Vec<(u32, Record)>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let (mut records, mut held, mut bytes) = (Vec::<(u32, Record)>::new(), 0usize, 0u64);
        for item in table.range(from..)? {
            let (height, record) = item?;
            let height = height.value();
            // There is no record below the first block; above it, no record may be missing.
            let expected = match records.last() {
                Some((before, _)) => before + 1,
                None if table.range(..from)?.next().is_some() => from,
                None => height,
            };
            if height != expected {
                return Err(IndexError::Incomplete {
                    dir: self.dir.clone(),
                    missing: expected,
                });
            }
            let record = Record::from_bytes(record.value());
            held = held.saturating_add(usize::try_from(record.transactions).unwrap_or(usize::MAX));
            bytes = bytes.saturating_add(u64::from(record.length));
            records.push((height, record));
            // Bounds the result: many blocks without transactions must not return the whole index, and blocks with few
            // but huge transactions must not exhaust memory.
            if held >= transactions || records.len() >= transactions.max(1) || bytes >= READ_BYTES {
                break;
            }
        }
        Ok(records)
    }

    /// The spent outputs, with those that are given by position. `None` if a referenced block has changed since.
    fn resolved(&self, spends: Vec<Spend>) -> Result<Option<Vec<SpentOutput>>, IndexError> {
        let mut outputs = Vec::with_capacity(spends.len());
        let mut made: HashMap<u32, Vec<u8>> = HashMap::new();
        for spend in spends {
            let (place, vout) = match spend {
                Spend::Named(spent) => {
                    outputs.push(spent);
                    continue;
                }
                Spend::Known { place, vout } => (place, vout),
            };
            let bytes = match made.entry(place.height) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let record = self.record(place.height)?;
                    let read = record.map_or(Ok(None), |record| self.read_bytes(place.height, record))?;
                    let Some(bytes) = read else {
                        // The referenced block is damaged, unless a reorganisation has replaced it.
                        if record.is_some() && record == self.record(place.height)? {
                            return Err(self.corrupt(place.height));
                        }
                        return Ok(None);
                    };
                    new.insert(bytes)
                }
            };
            let Some((txid, key_prefix)) = IndexedBlock::output_in(bytes, place) else {
                return Ok(None);
            };
            outputs.push(SpentOutput {
                outpoint: OutPoint { txid, vout },
                key_prefix,
            });
        }
        Ok(Some(outputs))
    }

    /// `None` if the bytes do not match the record.
    pub(super) fn read(&self, height: u32, record: Record) -> Result<Option<Stored>, IndexError> {
        let bytes = self.read_bytes(height, record)?;
        Ok(bytes.and_then(|bytes| IndexedBlock::from_bytes(height, record.hash, &bytes)))
    }

    pub(super) fn read_bytes(&self, height: u32, record: Record) -> Result<Option<Vec<u8>>, IndexError> {
        let path = self.segment(height / BLOCKS_PER_SEGMENT);
        let read = Open::reading().open(&path).and_then(|file| {
            // Allocate at most the size of the file, whatever length the record states.
            if file.size()? < record.end() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = vec![0; usize::try_from(record.length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, record.offset)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) if crc32fast::hash(&bytes) == record.crc => Ok(Some(bytes)),
            Ok(_) => Ok(None),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(IndexError::File { path, source }),
        }
    }

    /// As [`Self::read_bytes`]; a block with an I/O error is quarantined as well.
    fn read_or_set_aside(&self, height: u32, record: Record) -> Result<Option<Vec<u8>>, IndexError> {
        let read = self.read_bytes(height, record);
        if let Err(IndexError::File { .. }) = &read {
            drop(self.corrupt(height));
        }
        read
    }
}

/// Position of the bit of an output: byte, and bit in it.
pub(super) fn mark(place: Place) -> (usize, u8) {
    ((place.output / 8) as usize, 1 << (place.output % 8))
}

fn tip(height: u32, record: &[u8; super::RECORD]) -> IndexTip {
    IndexTip {
        height,
        hash: Record::from_bytes(record).hash,
    }
}
