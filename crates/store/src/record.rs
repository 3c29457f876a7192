//! Encoding of an event as a record of the log.

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use sdk_relay_protocol::Topic;

use crate::{EventKind, LogEntry, StoreError};

/// Size of the columns before the payload: topic, kind, presence bits, height, block hash.
const COLUMNS: usize = 1 + 1 + 1 + 4 + 32;
const HAS_HEIGHT: u8 = 1;
const HAS_BLOCK_HASH: u8 = 2;

/// A record that was split into its columns and its payload.
pub(crate) struct Record<'a> {
    columns: &'a [u8; COLUMNS],
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn parse(record: &'a [u8]) -> Result<Self, StoreError> {
        let (columns, payload) = record.split_first_chunk().ok_or(StoreError::Corrupt("log"))?;
        Ok(Self { columns, payload })
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    pub(crate) fn kind(&self) -> EventKind {
        EventKind::from_number(self.columns[1])
    }

    pub(crate) fn block_hash(&self) -> Option<BlockHash> {
        let hash = self.columns.last_chunk().filter(|_| self.has(HAS_BLOCK_HASH));
        hash.map(|hash| BlockHash::from_byte_array(*hash))
    }

    fn height(&self) -> Option<u32> {
        let height = self.columns[3..].first_chunk().filter(|_| self.has(HAS_HEIGHT));
        height.map(|height| u32::from_le_bytes(*height))
    }

    fn has(&self, column: u8) -> bool {
        self.columns[2] & column != 0
    }

    pub(crate) fn to_entry(&self, id: u64) -> Result<LogEntry, StoreError> {
        Ok(LogEntry {
            id,
            topic: topic(self.columns[0]).ok_or(StoreError::Corrupt("log"))?,
            kind: self.kind(),
            height: self.height(),
            block_hash: self.block_hash(),
            payload: Bytes::copy_from_slice(self.payload),
        })
    }
}

pub(crate) fn encode(entry: &LogEntry) -> Vec<u8> {
    let height = if entry.height.is_some() { HAS_HEIGHT } else { 0 };
    let hash = if entry.block_hash.is_some() { HAS_BLOCK_HASH } else { 0 };
    let mut record = Vec::with_capacity(COLUMNS + entry.payload.len());
    record.extend([topic_number(entry.topic), entry.kind.number(), height | hash]);
    record.extend(entry.height.unwrap_or(0).to_le_bytes());
    record.extend(entry.block_hash.map_or([0; 32], BlockHash::to_byte_array));
    record.extend_from_slice(&entry.payload);
    record
}

/// The topic with this number in the file.
pub(crate) fn topic(number: u8) -> Option<Topic> {
    Topic::ALL.into_iter().find(|topic| topic_number(*topic) == number)
}

/// Part of the file's format: never change a number.
pub(crate) fn topic_number(topic: Topic) -> u8 {
    match topic {
        Topic::Notifications => 0,
        Topic::Health => 1,
        Topic::Metrics => 2,
        Topic::Sync => 3,
        Topic::Tweaks => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changed number would change the meaning of existing events.
    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        use EventKind::*;
        let entry = LogEntry {
            id: 7,
            topic: Topic::Tweaks,
            kind: Tweaks,
            height: Some(0x0102_0304),
            block_hash: Some(BlockHash::from_byte_array([0xab; 32])),
            payload: Bytes::from_static(b"{}"),
        };
        let mut expected = vec![4, 7, 3, 4, 3, 2, 1];
        expected.extend([0xab; 32]);
        expected.extend(b"{}");
        assert_eq!(encode(&entry), expected);
        let numbers: Vec<_> = EventKind::ALL.into_iter().map(|kind| (kind.number(), kind)).collect();
        let frozen = [
            (0, Unknown),
            (1, PaymentDetected),
            (2, PaymentReverted),
            (3, BlockMined),
            (4, BlockDisconnected),
            (5, RelayConnected),
            (6, RelayDisconnected),
            (7, Tweaks),
            (8, TweaksInParts),
            (9, PaymentConfirmed),
            (10, PaymentSpent),
            (11, PaymentSpentReverted),
        ];
        assert_eq!(numbers, frozen);
        let topics: Vec<_> = (0..=5).map(topic).collect();
        let [a, b, c, d, e] = [
            Topic::Notifications,
            Topic::Health,
            Topic::Metrics,
            Topic::Sync,
            Topic::Tweaks,
        ];
        assert_eq!(topics, [Some(a), Some(b), Some(c), Some(d), Some(e), None]);
    }

    #[test]
    fn every_combination_of_columns_is_read_back() {
        for kind in EventKind::ALL {
            for topic in Topic::ALL {
                for height in [None, Some(0), Some(u32::MAX)] {
                    for block_hash in [None, Some([0; 32]), Some([0x5a; 32])] {
                        let entry = LogEntry {
                            id: 1,
                            topic,
                            kind,
                            height,
                            block_hash: block_hash.map(BlockHash::from_byte_array),
                            payload: Bytes::from_static(b"\n\0"),
                        };
                        let record = encode(&entry);
                        let read = Record::parse(&record).unwrap();
                        assert_eq!(read.to_entry(1).unwrap(), entry);
                    }
                }
            }
        }
    }

    #[test]
    fn an_invalid_record_is_an_error_and_an_unknown_kind_is_not() {
        assert!(Record::parse(&[0; COLUMNS - 1]).is_err());
        let mut record = [0; COLUMNS];
        record[1] = 200;
        let entry = Record::parse(&record).unwrap().to_entry(1).unwrap();
        assert_eq!((entry.kind, entry.topic), (EventKind::Unknown, Topic::Notifications));
        record[0] = 200;
        assert!(Record::parse(&record).unwrap().to_entry(1).is_err());
    }
}
