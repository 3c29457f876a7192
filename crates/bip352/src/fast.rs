//! The fast engine: many pairs of receiver and row at a time.
//!
//! In a history scan one scalar meets millions of points: [`one`] walks eight rows at a time through one schedule of doublings and
//! additions. In a block one point meets thousands of scalars: [`many`] makes a table of each point that all receivers share. Both end in
//! [`finish`]. The arithmetic is written once for any lane type of `secp_lanes`; which one
//! is used is decided at run time.
//!
//! What this engine finds is a suspicion: libsecp256k1 scans the pair again, and its answer is the hit. What meets an exceptional case of
//! the group law goes the same way, so that such a case costs time and never a payment. `docs/scanner.md` has the mathematics.

mod finish;
mod labels;
mod many;
mod one;
mod rows;
mod steps;
mod tweaks;

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use secp_lanes::{Bare, CombDigits, Decompress, Lane, Lanes, MAX_LANES, Schedule, with_lanes};
use zeroize::Zeroizing;

use crate::engine::{Engine, Hit, Libsecp256k1, Pair, StoredRow, TxWithPrevouts};
use crate::input::EligibleTx;
use crate::keys::Receiver;
use crate::prepared::{Keys, packed};
use crate::scan::{pays, scan};
use labels::Wanted;
use many::ManyScalars;
use one::OneScalar;
use rows::Rows;
use steps::Clock;
pub use steps::Step;

/// From so many receivers on, a table for each point costs less than a multiplication for each receiver.
const MANY: usize = 24;
/// Fewer pairs than this are scanned by libsecp256k1: the shared inversions of a batch would cost more.
const FEW_PAIRS: usize = 8;

/// The tweaks of fewer transactions are computed by libsecp256k1, for the same reason.
const FEW_TXS: usize = 8;

/// Scans in vectors where the machine has them, in plain 64-bit code elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Fast {
    lanes: Lanes,
}

impl Default for Fast {
    fn default() -> Self {
        Self::new()
    }
}

impl Fast {
    /// The fastest that this machine can run.
    pub fn new() -> Self {
        Self {
            lanes: Lanes::fastest(),
        }
    }

    /// All that this machine can run, the slowest first: plain 64-bit code, which every machine runs.
    pub fn all() -> Vec<Self> {
        Lanes::all().into_iter().map(|lanes| Self { lanes }).collect()
    }

    /// The name of the machine's instructions that are used.
    pub fn name(&self) -> &'static str {
        self.lanes.name()
    }

    /// The time of each step of a scan, for whoever wants to make one faster.
    pub fn measure(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> [(Step, Duration); Step::ALL.len()] {
        let mut clock = Clock::start();
        let words = read(receivers, rows);
        self.pairs(receivers, words, &mut clock);
        clock.spent()
    }

    /// Makes field multiplications and nothing else, and tells how many, in all lanes: for whoever measures what a step costs at least.
    pub fn multiply_only(&self) -> usize {
        let bare = Bare { rounds: 20_000 };
        with_lanes!(self.lanes, L, token => {
            let count = bare.count::<L>();
            L::vectorize(token, bare);
            count
        })
    }

    /// Pairs that deserve a closer look, ordered by row and then by receiver.
    fn pairs(&self, receivers: &[&Receiver], rows: Rows, clock: &mut Clock) -> Vec<Pair> {
        with_lanes!(self.lanes, L, token => suspects::<L>(token, receivers, rows, clock))
    }
}

impl Engine for Fast {
    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Vec<Option<PublicKey>> {
        // One lane multiplies no faster than libsecp256k1, which follows each scalar's own digits.
        if txs.len() < FEW_TXS || matches!(self.lanes, Lanes::Portable) {
            return Libsecp256k1.tweaks(txs);
        }
        with_lanes!(self.lanes, L, token => tweaks::of::<L>(token, txs))
    }

    fn scan(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Hit> {
        if receivers.len() * rows.len() < FEW_PAIRS {
            return Libsecp256k1.scan(receivers, rows);
        }
        let confirmed = self
            .suspects(receivers, rows)
            .into_iter()
            .filter_map(|(row, receiver)| {
                let matches = scan(receivers.get(receiver)?, rows.get(row)?);
                (!matches.is_empty()).then_some(Hit { receiver, row, matches })
            });
        confirmed.collect()
    }

    fn suspects(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Pair> {
        if receivers.len() * rows.len() < FEW_PAIRS {
            return Libsecp256k1.suspects(receivers, rows);
        }
        self.pairs(receivers, read(receivers, rows), &mut Clock::start())
    }

    fn scan_stored(&self, receivers: &[&Receiver], rows: &[StoredRow<'_>]) -> Vec<Pair> {
        if rows.is_empty() {
            return Vec::new();
        }
        let words = with_lanes!(self.lanes, L, token => read_stored::<L>(token, receivers, rows));
        let confirmed = self
            .pairs(receivers, words, &mut Clock::start())
            .into_iter()
            .filter(|&(row, receiver)| {
                let tx = rows.get(row).and_then(StoredRow::parse);
                tx.zip(receivers.get(receiver))
                    .is_some_and(|(tx, keys)| pays(keys, &tx))
            });
        confirmed.collect()
    }
}

fn empty_rows(receivers: &[&Receiver], rows: usize) -> Rows {
    let may_subtract = receivers.iter().any(|r| r.prepared().keys.may_subtract());
    Rows::with_capacity(rows, may_subtract)
}

fn read(receivers: &[&Receiver], rows: &[&EligibleTx]) -> Rows {
    let mut words = empty_rows(receivers, rows.len());
    for tx in rows {
        words.push(packed(&tx.tweak), tx.outputs.iter().map(|output| &output.key));
    }
    words
}

/// Rows of an index, their points decompressed in lanes.
fn read_stored<L: Lane>(token: L::Token, receivers: &[&Receiver], rows: &[StoredRow<'_>]) -> Rows {
    let mut words = empty_rows(receivers, rows.len());
    for some in rows.chunks(L::LANES) {
        let keys: [&[u8; 33]; MAX_LANES] = std::array::from_fn(|i| some[i.min(some.len() - 1)].tweak);
        let (points, good) = L::vectorize(token, Decompress { keys: &keys });
        for (lane, (row, point)) in some.iter().zip(points).enumerate() {
            // Without outputs nothing is found in a row whose tweak is no point.
            let outputs = if good >> lane & 1 == 1 { row.outputs } else { &[] };
            words.push(point, outputs.iter());
        }
    }
    words
}

fn suspects<L: Lane>(token: L::Token, receivers: &[&Receiver], mut rows: Rows, clock: &mut Clock) -> Vec<Pair> {
    let mut pairs = Vec::new();
    if receivers.is_empty() || rows.len() == 0 {
        return pairs;
    }
    let keys: Vec<&Keys> = receivers.iter().map(|r| &r.prepared().keys).collect();
    let wanted = Wanted::of::<L>(token, &keys, &mut rows);
    let rows = &rows;
    clock.lap(Step::Rows);
    if receivers.len() < MANY {
        let mut scanner = OneScalar::<L>::new(token);
        scanner.batch.clock = *clock;
        for (i, (receiver, wanted)) in receivers.iter().zip(wanted).enumerate() {
            let key = Zeroizing::new(receiver.scan_secret().secret_bytes());
            let schedule = Schedule::new(&key);
            scanner.scan(&schedule, wanted, rows, |row| pairs.push((row, i)));
        }
        pairs.sort_unstable();
        *clock = scanner.batch.clock;
        return pairs;
    }
    let digits: Vec<&CombDigits> = receivers.iter().map(|r| &*r.prepared().digits).collect();
    let mut scanner = ManyScalars::<L>::new(token);
    scanner.batch.clock = *clock;
    scanner.scan(&digits, &wanted, rows, |row, receiver| pairs.push((row, receiver)));
    *clock = scanner.batch.clock;
    pairs
}
