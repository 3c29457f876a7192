//! The index as its readers see it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use bitcoin::{BlockHash, OutPoint};
use redb::{ReadableDatabase, ReadableTable};

use super::{BLOCKS, BLOCKS_PER_SEGMENT, IndexError, IndexedBlock, Record, SPENT, TweakIndex, spent_key};

/// The newest block of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexTip {
    /// Height.
    pub height: u32,
    /// Hash.
    pub hash: BlockHash,
}

impl TweakIndex {
    /// The height from which the index is to reach back; it begins higher only where the node has pruned.
    pub fn start_height(&self) -> u32 {
        self.start_height
    }

    /// The lowest block that the index has; `None` while it is empty.
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

    /// The block at this height; `None` outside the index.
    pub fn block(&self, height: u32) -> Result<Option<IndexedBlock>, IndexError> {
        let mut record = self.record(height)?;
        while let Some(found) = record {
            match self.read(height, found)? {
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

    /// Blocks from this height on, in order, until they hold `transactions` together or the index ends: at least one where there is one.
    /// They are blocks of one chain: each follows the one before it.
    pub fn blocks(&self, from: u32, transactions: usize) -> Result<Vec<IndexedBlock>, IndexError> {
        'again: loop {
            let records = self.records(from, transactions)?;
            let mut blocks = Vec::with_capacity(records.len());
            for (height, record) in records {
                match self.read(height, record)? {
                    Some(block) => blocks.push(block),
                    None if self.record(height)? == Some(record) => return Err(self.corrupt(height)),
                    None => continue 'again,
                }
            }
            return Ok(blocks);
        }
    }

    /// For each outpoint the height of the block that spends it, as far as the index reaches; `None` for one that is unspent there.
    ///
    /// Only taproot outputs are known. All answers are of the same tip.
    pub fn spent_at(&self, outpoints: &[OutPoint]) -> Result<Vec<Option<u32>>, IndexError> {
        let table = self.db.begin_read()?.open_table(SPENT)?;
        let found = outpoints
            .iter()
            .map(|o| Ok(table.get(spent_key(o))?.map(|v| v.value())));
        found.collect()
    }

    /// Bytes of all files, for figures.
    pub fn size_on_disk(&self) -> Result<u64, IndexError> {
        let file = |source| IndexError::File {
            path: self.dir.clone(),
            source,
        };
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.dir).map_err(file)? {
            bytes += entry.map_err(file)?.metadata().map_err(file)?.len();
        }
        Ok(bytes)
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

    fn record(&self, height: u32) -> Result<Option<Record>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        Ok(table.get(height)?.map(|r| Record::from_bytes(r.value())))
    }

    fn records(&self, from: u32, transactions: usize) -> Result<Vec<(u32, Record)>, IndexError> {
        let table = self.db.begin_read()?.open_table(BLOCKS)?;
        let (mut records, mut held) = (Vec::new(), 0usize);
        for item in table.range(from..)? {
            let (height, record) = item?;
            let record = Record::from_bytes(record.value());
            held = held.saturating_add(usize::try_from(record.transactions).unwrap_or(usize::MAX));
            records.push((height.value(), record));
            // Blocks without a transaction must not make one answer the whole index.
            if held >= transactions || records.len() >= transactions.max(1) {
                break;
            }
        }
        Ok(records)
    }

    /// `None` where the bytes are not those of the record.
    pub(super) fn read(&self, height: u32, record: Record) -> Result<Option<IndexedBlock>, IndexError> {
        let path = self.segment(height / BLOCKS_PER_SEGMENT);
        let mut bytes = vec![0; usize::try_from(record.length).unwrap_or(0)];
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(record.offset))?;
            file.read_exact(&mut bytes)
        });
        match read {
            Ok(()) if crc32fast::hash(&bytes) == record.crc => {
                Ok(IndexedBlock::from_bytes(height, record.hash, &bytes))
            }
            Ok(()) => Ok(None),
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

    pub(super) fn corrupt(&self, height: u32) -> IndexError {
        IndexError::Corrupt {
            height,
            dir: self.dir.clone(),
        }
    }
}

fn tip(height: u32, record: &[u8; super::RECORD]) -> IndexTip {
    IndexTip {
        height,
        hash: Record::from_bytes(record).hash,
    }
}
