//! Turns the messages of one connection into signals: detects gaps in the counters, and attaches the transaction to its
//! `A`.

use bitcoin::{BlockHash, Transaction, Txid, consensus};
use bytes::Bytes;

use super::frame::{self, Body, FrameError, Topic};
use crate::source::Signal;

/// State between the messages of a connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    sequence: Counter,
    hashblock: Counter,
    /// The last `rawtx`. The node publishes a transaction that enters the mempool right before its `A`: one thread
    /// serves the notifiers of an address, in the order of their names (`CZMQNotificationInterface`). Those of a block
    /// replace each other unread.
    raw: Option<Bytes>,
    /// The block of the last `C`: `hashblock` repeats it.
    connected: Option<BlockHash>,
}

/// Result of one message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Messages before it were lost.
    pub(super) gap: Option<Gap>,
    /// Its signal, unless it is redundant.
    pub(super) signal: Option<Signal>,
}

/// A gap in the counters of a topic.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{missing} messages of topic {topic} are missing before sequence number {counter}")]
pub(super) struct Gap {
    topic: &'static str,
    counter: u32,
    missing: u32,
}

impl Reader {
    /// Handles the next message of the connection.
    pub(super) fn read(&mut self, frames: &[Bytes]) -> Result<Reading, FrameError> {
        let message = frame::parse(frames)?;
        let missing = match message.topic {
            Topic::Sequence => self.sequence.advance(message.counter),
            // A lost `rawtx` is no gap: its `A` is sent without a transaction. Each block publishes thousands of them,
            // of which some are usually lost.
            Topic::RawTx => 0,
            Topic::HashBlock => self.hashblock.advance(message.counter),
        };
        let gap = (missing > 0).then(|| Gap {
            topic: message.topic.name(),
            counter: message.counter,
            missing,
        });
        Ok(Reading {
            gap,
            signal: self.signal(message.body),
        })
    }

    /// Whether a message of the topic `sequence` was received.
    pub(super) fn has_sequence(&self) -> bool {
        self.sequence.0.is_some()
    }

    fn signal(&mut self, body: Body) -> Option<Signal> {
        match body {
            Body::RawTx(raw) => {
                self.raw = Some(raw);
                None
            }
            Body::Entered { txid, sequence } => Some(Signal::Entered {
                txid,
                tx: self.transaction(txid),
                sequence,
            }),
            Body::Left { txid, sequence } => Some(Signal::Left { txid, sequence }),
            Body::Connected(hash) => {
                self.connected = Some(hash);
                Some(Signal::Chain)
            }
            Body::Disconnected(_) => {
                self.connected = None;
                Some(Signal::Chain)
            }
            Body::Tip(hash) => (self.connected != Some(hash)).then_some(Signal::Chain),
        }
    }

    /// The last `rawtx`, if it is `txid`.
    fn transaction(&mut self, txid: Txid) -> Option<Box<Transaction>> {
        let tx: Transaction = consensus::deserialize(&self.raw.take()?).ok()?;
        (tx.compute_txid() == txid).then(|| Box::new(tx))
    }
}

/// The counter of one topic.
#[derive(Debug, Default)]
struct Counter(Option<u32>);

impl Counter {
    /// Number of messages missing before the one numbered `counter`; 0 for the first of a connection.
    fn advance(&mut self, counter: u32) -> u32 {
        let expected = self.0.map_or(counter, |last| last.wrapping_add(1));
        self.0 = Some(counter);
        counter.wrapping_sub(expected)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::{absolute::LockTime, consensus::serialize, hashes::Hash as _, transaction::Version};

    use super::*;

    fn message(topic: &'static str, counter: u32, body: Vec<u8>) -> [Bytes; 3] {
        [
            Bytes::from(topic),
            Bytes::from(body),
            Bytes::copy_from_slice(&counter.to_le_bytes()),
        ]
    }

    fn labelled(counter: u32, hash: [u8; 32], label: &[u8]) -> [Bytes; 3] {
        let displayed: Vec<u8> = hash.into_iter().rev().collect();
        message("sequence", counter, [&displayed, label].concat())
    }

    fn transaction(lock_time: u32) -> Transaction {
        let lock_time = LockTime::from_consensus(lock_time);
        Transaction {
            version: Version::TWO,
            lock_time,
            input: vec![],
            output: vec![],
        }
    }

    #[test]
    fn gaps_are_reported_and_the_counter_wraps() {
        let mut reader = Reader::default();
        let mut missing = |counter| {
            reader
                .read(&labelled(counter, [1; 32], b"D"))
                .unwrap()
                .gap
                .map(|gap| gap.missing)
        };
        assert_eq!(missing(u32::MAX - 1), None);
        assert_eq!(missing(u32::MAX), None);
        assert_eq!(missing(0), None);
        assert_eq!(missing(2), Some(1));
        assert_eq!(missing(3), None);
    }

    #[test]
    fn a_lost_rawtx_is_no_gap() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&message("rawtx", 1, vec![])), Ok(Reading::default()));
        assert_eq!(reader.read(&message("rawtx", 9, vec![])), Ok(Reading::default()));
    }

    #[test]
    fn the_transaction_goes_with_its_own_entry_only() {
        let mut reader = Reader::default();
        let (tx, other) = (transaction(1), transaction(2));
        let entry =
            |tx: &Transaction, counter| labelled(counter, tx.compute_txid().to_byte_array(), b"A\x07\0\0\0\0\0\0\0");
        reader.read(&message("rawtx", 1, serialize(&tx))).unwrap();
        let signal = reader.read(&entry(&tx, 1)).unwrap().signal;
        let expected = Signal::Entered {
            txid: tx.compute_txid(),
            tx: Some(Box::new(tx.clone())),
            sequence: 7,
        };
        assert_eq!(signal, Some(expected));

        reader.read(&message("rawtx", 2, serialize(&other))).unwrap();
        for counter in 2..4 {
            let Some(Signal::Entered { tx: None, .. }) = reader.read(&entry(&tx, counter)).unwrap().signal else {
                panic!("another transaction was attached");
            };
        }
    }

    #[test]
    fn hashblock_adds_nothing_to_a_connected_block() {
        let mut reader = Reader::default();
        let hash = [7; 32];
        let tip = |counter| message("hashblock", counter, hash.to_vec());
        assert_eq!(
            reader.read(&labelled(1, hash, b"C")).unwrap().signal,
            Some(Signal::Chain)
        );
        assert_eq!(reader.read(&tip(1)).unwrap().signal, None);
        assert_eq!(
            reader.read(&labelled(2, hash, b"D")).unwrap().signal,
            Some(Signal::Chain)
        );
        assert_eq!(reader.read(&tip(2)).unwrap().signal, Some(Signal::Chain));
    }
}
