//! The mempool as of detection: snapshots that share its rows, and what spends outputs.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{OutPoint, Txid};
use sdk_relay_scheduler::{Facts, Row};

use super::spend::Spend;

/// Size from which a segment is no longer merged.
const LARGE: usize = 1_024;
/// Rows that have left the mempool and that segments may still hold, whatever its size.
const SPARE: usize = 1_024;

/// Some rows that were in the mempool at one time. A few of them may have left it.
pub(super) type Segment = Arc<[Arc<Row>]>;

/// Transactions now in the mempool, the eligible ones with their tweaks. Their rows are in segments, which snapshots
/// share: a new watch costs a few pointers, independently of the size of the mempool and the number of watches.
#[derive(Debug, Default)]
pub(super) struct Mempool {
    txs: HashMap<Txid, Entry>,
    /// The transaction that spends an output, and its input. The newest of those that conflict.
    spenders: HashMap<OutPoint, (Txid, u32)>,
    segments: Vec<Segment>,
    /// Rows that are in no segment yet.
    tail: Vec<Arc<Row>>,
}

/// A transaction of the mempool.
#[derive(Debug)]
struct Entry {
    /// Its row where it is eligible.
    row: Option<Arc<Row>>,
    /// The outputs that it spends and that may be payments.
    spends: Box<[OutPoint]>,
    /// When it was seen, Unix seconds.
    seen: u64,
    /// Its fee in satoshis.
    fee: Option<u64>,
}

impl Mempool {
    /// A transaction has entered; `row` where it is eligible. `spends`: the outputs that it spends and that may be
    /// payments, with the indices of its inputs. `seen`: now.
    pub(super) fn insert(&mut self, facts: Facts, row: Option<Arc<Row>>, spends: &[(OutPoint, u32)], seen: u64) {
        let txid = facts.txid;
        let entry = Entry {
            row: row.clone(),
            spends: spends.iter().map(|(outpoint, _)| *outpoint).collect(),
            seen,
            fee: facts.fee,
        };
        if self.txs.insert(txid, entry).is_none() {
            self.tail.extend(row);
        }
        let spenders = spends.iter().map(|(outpoint, vin)| (*outpoint, (txid, *vin)));
        self.spenders.extend(spenders);
    }

    /// A transaction has left, or was mined.
    pub(super) fn remove(&mut self, txid: &Txid) {
        for outpoint in self.txs.remove(txid).into_iter().flat_map(|entry| entry.spends) {
            if self.spenders.get(&outpoint).is_some_and(|(by, _)| by == txid) {
                self.spenders.remove(&outpoint);
            }
        }
        if self.rows() > 2 * self.txs.len() + SPARE {
            self.segments.clear();
            self.tail = self.txs.values().filter_map(|entry| entry.row.clone()).collect();
        }
    }

    /// What spends this output, if a transaction in the mempool does.
    pub(super) fn spend_of(&self, outpoint: &OutPoint) -> Option<Spend> {
        let (by, vin) = *self.spenders.get(outpoint)?;
        let entry = self.txs.get(&by)?;
        Some(Spend {
            by: Some(by),
            vin: Some(vin),
            block: None,
            timestamp: entry.seen,
            fee_sats: entry.fee,
        })
    }

    pub(super) fn contains(&self, txid: &Txid) -> bool {
        self.txs.contains_key(txid)
    }

    /// All rows, and a few that have left.
    pub(super) fn snapshot(&mut self) -> Vec<Segment> {
        if !self.tail.is_empty() {
            let mut merged = std::mem::take(&mut self.tail);
            // Segments double in size from the newest to the oldest, so that there are few, and each row is copied a
            // few times at most.
            while let Some(last) = self
                .segments
                .pop_if(|last| last.len() < LARGE && last.len() <= merged.len())
            {
                merged.extend(last.iter().cloned());
            }
            merged.retain(|row| self.txs.contains_key(&row.facts.txid));
            if !merged.is_empty() {
                self.segments.push(merged.into());
            }
        }
        self.segments.clone()
    }

    fn rows(&self) -> usize {
        self.tail.len() + self.segments.iter().map(|segment| segment.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bitcoin::hashes::Hash as _;
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use proptest::prelude::*;
    use sdk_relay_bip352::EligibleTx;

    use super::*;

    fn txid(n: u16) -> Txid {
        Txid::hash(&n.to_le_bytes())
    }

    fn facts(n: u16) -> Facts {
        Facts {
            txid: txid(n),
            fee: Some(u64::from(n)),
            size: 1,
        }
    }

    fn row(n: u16) -> Arc<Row> {
        Arc::new(Row {
            eligible: EligibleTx {
                txid: txid(n),
                tweak: SecretKey::from_slice(&[1; 32]).unwrap().public_key(&Secp256k1::new()),
                outputs: Vec::new(),
            },
            facts: facts(n),
        })
    }

    proptest! {
        #[test]
        fn a_snapshot_holds_each_transaction_once_and_few_others(
            steps in proptest::collection::vec((0_u16..60, 0_u8..4), 1..600),
        ) {
            let rows: Vec<_> = (0..60).map(row).collect();
            let mut mempool = Mempool::default();
            let mut expected = BTreeSet::new();
            for (n, what) in steps {
                match what {
                    0 | 1 => {
                        mempool.insert(facts(n), Some(Arc::clone(&rows[usize::from(n)])), &[], 1);
                        expected.insert(txid(n));
                    }
                    2 => {
                        mempool.remove(&txid(n));
                        expected.remove(&txid(n));
                    }
                    _ => {
                        let snapshot = mempool.snapshot();
                        let all: Vec<Txid> = snapshot.iter().flat_map(|s| s.iter().map(|row| row.facts.txid)).collect();
                        let inside: BTreeSet<Txid> = all.iter().copied().filter(|t| mempool.contains(t)).collect();
                        prop_assert_eq!(&inside, &expected);
                        prop_assert!(all.len() <= 2 * expected.len() + SPARE);
                    }
                }
            }
        }
    }

    #[test]
    fn snapshots_share_their_segments() {
        let mut mempool = Mempool::default();
        let mut segments = BTreeSet::new();
        for n in 0..5_000 {
            mempool.insert(facts(n), Some(row(n)), &[], 1);
            let snapshot = mempool.snapshot();
            assert!(snapshot.len() <= 5 + 11, "{} segments", snapshot.len());
            segments.insert(Arc::as_ptr(snapshot.first().unwrap()).cast::<u8>());
        }
        // Copied in full, each of the snapshots would be a segment of its own.
        assert!(segments.len() < 100, "{} first segments", segments.len());
        assert_eq!(mempool.rows(), 5_000);
    }

    #[test]
    fn the_newest_transaction_spends_an_output_until_it_leaves() {
        let mut mempool = Mempool::default();
        let output = |vout| OutPoint::new(txid(9), vout);
        let by = |mempool: &Mempool, vout| {
            mempool
                .spend_of(&output(vout))
                .map(|spend| (spend.by, spend.vin, spend.timestamp, spend.fee_sats))
        };
        mempool.insert(facts(1), None, &[(output(0), 4), (output(1), 0)], 100);
        assert_eq!(by(&mempool, 0), Some((Some(txid(1)), Some(4), 100, Some(1))));
        // It replaces the first, whose end is reported later.
        mempool.insert(facts(2), None, &[(output(0), 1)], 200);
        assert_eq!(by(&mempool, 0), Some((Some(txid(2)), Some(1), 200, Some(2))));
        mempool.remove(&txid(1));
        assert_eq!(
            (by(&mempool, 0), by(&mempool, 1)),
            (Some((Some(txid(2)), Some(1), 200, Some(2))), None)
        );
        mempool.remove(&txid(2));
        assert!(mempool.spenders.is_empty());
    }
}
