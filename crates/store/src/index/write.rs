//! Appends blocks at the tip, and removes them there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bitcoin::BlockHash;
use redb::ReadableTable;
use sdk_relay_files::{Open, entries, exists, remove, sync_directory};

use super::read::mark;
use super::spend::Spend;
use super::{
    BLOCKS, BLOCKS_PER_SEGMENT, FORMAT, IndexError, IndexedBlock, MARKS, META, META_FORMAT, META_START, Record, SPENT,
    TweakIndex, spent_key,
};

/// Updated spent bits of blocks, before they are written.
type Marks = BTreeMap<u32, Vec<u8>>;

/// How to treat the bytes of a segment after the written ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Truncate: left over from a killed writer.
    Cut,
    /// Keep: they belong to blocks.
    Kept,
}

impl TweakIndex {
    /// Appends blocks, in one commit. `previous` is the hash of the block below the first of them, which must be the
    /// tip's; an empty index begins with any block.
    pub fn append(&self, previous: BlockHash, blocks: &[IndexedBlock]) -> Result<(), IndexError> {
        let appended = self.try_append(previous, blocks);
        if appended.is_err() {
            // Its positions may be invalid.
            self.recent().clear();
        }
        appended
    }

    fn try_append(&self, previous: BlockHash, blocks: &[IndexedBlock]) -> Result<(), IndexError> {
        let Some(first) = blocks.first() else { return Ok(()) };
        let last = self.last_record()?;
        if last.is_some_and(|(height, record)| height + 1 != first.height || record.hash != previous) {
            return Err(not_next(first));
        }
        if let Some(wrong) = blocks
            .iter()
            .zip(first.height..)
            .find(|(b, height)| b.height != *height)
        {
            return Err(not_next(wrong.0));
        }
        let mut end = last.map(|(height, record)| (height / BLOCKS_PER_SEGMENT, record.end()));
        let mut pending: BTreeMap<u32, (u64, Vec<u8>)> = BTreeMap::new();
        let mut records = Vec::with_capacity(blocks.len());
        let (mut known, mut named) = (Vec::new(), Vec::new());
        for block in blocks {
            let segment = block.height / BLOCKS_PER_SEGMENT;
            let offset = end.filter(|(s, _)| *s == segment).map_or(0, |(_, end)| end);
            let (bytes, spends) = {
                let mut recent = self.recent();
                recent.add(block);
                block.to_bytes(|outpoint| recent.place(outpoint))
            };
            for spend in spends {
                match spend {
                    Spend::Known { place, .. } => known.push(place),
                    Spend::Named(spent) => named.push((spent_key(&spent.outpoint), block.height)),
                }
            }
            let record = Record {
                hash: block.hash,
                offset,
                length: u32::try_from(bytes.len()).map_err(|_| not_next(block))?,
                crc: crc32fast::hash(&bytes),
                transactions: u32::try_from(block.transactions.len()).unwrap_or(u32::MAX),
            };
            let (_, buffer) = pending.entry(segment).or_insert_with(|| (offset, Vec::new()));
            buffer.extend_from_slice(&bytes);
            end = Some((segment, record.end()));
            records.push((block.height, record));
        }
        // Bytes first: a record must not be committed before the bytes that it refers to are durable.
        for (segment, (offset, bytes)) in pending {
            self.write_segment(segment, offset, &bytes, Rest::Cut)?;
        }
        let tx = self.db.begin_write()?;
        {
            let mut table = tx.open_table(BLOCKS)?;
            for (height, record) in records {
                table.insert(height, &record.to_bytes())?;
            }
            let mut table = tx.open_table(MARKS)?;
            let mut marks = Marks::new();
            for place in known {
                let (byte, bit) = mark(place);
                let bits = marks_of(&mut marks, &table, place.height)?;
                bits.resize(bits.len().max(byte + 1), 0);
                if let Some(byte) = bits.get_mut(byte) {
                    *byte |= bit;
                }
            }
            for (height, bits) in marks {
                table.insert(height, bits.as_slice())?;
            }
            let mut table = tx.open_table(SPENT)?;
            // In key order, each page is written once.
            named.sort_unstable();
            for (key, height) in named {
                table.insert(key, height)?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// Removes every block above `height`, which becomes the tip. An index that begins above it becomes empty.
    pub fn rewind(&self, height: u32) -> Result<(), IndexError> {
        self.recent().rewind(height);
        // The spent outputs are read back from the blocks, a bounded number at a time, newest first.
        const BLOCKS_AT_ONCE: u32 = 64;
        while let Some((tip, _)) = self.last_record()?.filter(|(tip, _)| *tip > height) {
            let above = height.max(tip.saturating_sub(BLOCKS_AT_ONCE));
            let tx = self.db.begin_write()?;
            {
                let mut blocks = tx.open_table(BLOCKS)?;
                let mut table = tx.open_table(MARKS)?;
                let mut spent = tx.open_table(SPENT)?;
                let mut marks = Marks::new();
                for gone in (above + 1..=tip).rev() {
                    let Some(record) = blocks.remove(gone)?.map(|r| Record::from_bytes(r.value())) else {
                        break;
                    };
                    let stored = self.read(gone, record)?.ok_or_else(|| self.corrupt(gone))?;
                    for spend in stored.spends {
                        match spend {
                            Spend::Named(output) => drop(spent.remove(spent_key(&output.outpoint))?),
                            Spend::Known { place, .. } => {
                                let (byte, bit) = mark(place);
                                let bits = marks_of(&mut marks, &table, place.height)?;
                                if let Some(byte) = bits.get_mut(byte) {
                                    *byte &= !bit;
                                }
                            }
                        }
                    }
                    marks.insert(gone, Vec::new());
                }
                for (height, mut bits) in marks {
                    bits.truncate(bits.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
                    if bits.is_empty() {
                        table.remove(height)?;
                    } else {
                        table.insert(height, bits.as_slice())?;
                    }
                }
            }
            tx.commit()?;
        }
        self.forget_damage_above(Some(height));
        let last = self.last_record()?;
        self.cut(last.map(|(height, record)| (height / BLOCKS_PER_SEGMENT, record.end())))
    }

    /// Empties the index.
    pub fn clear(&self) -> Result<(), IndexError> {
        self.recent().clear();
        self.forget_damage_above(None);
        let tx = self.db.begin_write()?;
        tx.delete_table(BLOCKS)?;
        tx.delete_table(MARKS)?;
        tx.delete_table(SPENT)?;
        tx.open_table(BLOCKS)?;
        tx.open_table(MARKS)?;
        tx.open_table(SPENT)?;
        {
            let mut meta = tx.open_table(META)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_START, u64::from(self.start_height))?;
        }
        tx.commit()?;
        self.cut(None)
    }

    /// Truncates the segment after the last committed block, and removes the later segments; removes all of them if
    /// there is no block.
    pub(super) fn cut(&self, kept: Option<(u32, u64)>) -> Result<(), IndexError> {
        let file = |path: &std::path::Path, source| IndexError::File {
            path: path.to_owned(),
            source,
        };
        for path in entries(&self.dir).map_err(|e| file(&self.dir, e))? {
            let name = path.file_name().and_then(|n| n.to_str());
            let Some(number) = name.and_then(|n| n.strip_suffix(".rows")?.parse::<u32>().ok()) else {
                continue;
            };
            match kept {
                Some((segment, _)) if number < segment => {}
                Some((segment, end)) if number == segment => {
                    let segment = Open::writing().open(&path).map_err(|e| file(&path, e))?;
                    let length = segment.size().map_err(|e| file(&path, e))?;
                    if length > end {
                        segment.set_len(end).map_err(|e| file(&path, e))?;
                    }
                }
                _ => remove(&path).map_err(|e| file(&path, e))?,
            }
        }
        Ok(())
    }

    /// Writes these bytes and synchronises them.
    pub(super) fn write_segment(&self, segment: u32, offset: u64, bytes: &[u8], rest: Rest) -> Result<(), IndexError> {
        let path = self.segment(segment);
        let write = || {
            let is_new = !exists(&path)?;
            let file = Open::writing().or_create().open(&path)?;
            if rest == Rest::Cut {
                file.set_len(offset)?;
            }
            file.write_all_at(bytes, offset)?;
            file.sync_data()?;
            if is_new {
                // The directory entry must survive a power cut, too.
                sync_directory(&self.dir)?;
            }
            Ok(())
        };
        write().map_err(|source| IndexError::File {
            path: path.clone(),
            source,
        })
    }
}

/// The spent bits of the block at this height, to be modified; initially as stored.
fn marks_of<'a>(
    marks: &'a mut Marks,
    table: &impl ReadableTable<u32, &'static [u8]>,
    height: u32,
) -> Result<&'a mut Vec<u8>, IndexError> {
    Ok(match marks.entry(height) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let bits = table.get(height)?.map(|bits| bits.value().to_vec());
            new.insert(bits.unwrap_or_default())
        }
    })
}

fn not_next(block: &IndexedBlock) -> IndexError {
    IndexError::NotNext {
        height: block.height,
        hash: block.hash,
    }
}
