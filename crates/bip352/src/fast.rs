//! The fast engine: many pairs of receiver and row at a time.
//!
//! A history scan multiplies millions of points by one scalar: [`one`] processes eight rows at a time with one schedule
//! of doublings and additions. A block needs each point times thousands of scalars: [`many`] computes a table of each
//! point, shared by all receivers. Both end in [`finish`]. The arithmetic is written once for any lane type of
//! `secp_lanes`; the lane type is selected at run time.
//!
//! This engine finds candidates: libsecp256k1 scans each candidate pair again, and gives the result. Pairs with an
//! exceptional case of the group law are candidates too, so such a case costs time but never loses a payment.
//! `docs/scanner.md` has the mathematics.

mod finish;
mod labels;
mod many;
mod one;
mod rows;
mod steps;
mod tables;
mod tweaks;

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use secp_lanes::{Bare, CombDigits, Decompress, Lane, Lanes, MAX_LANES, Schedule, with_lanes};
use zeroize::Zeroizing;

use crate::batch::{Hit, Pair, Prepared, StoredRow, TxWithPrevouts};
use crate::engine::{Engine, EngineError};
use crate::input::EligibleTx;
use crate::keys::Receiver;
use crate::reference;
use crate::scan::{pays, scan};
use labels::Wanted;
use many::ManyScalars;
use one::OneScalar;
use rows::Rows;
use steps::Clock;
pub use steps::Step;
use tables::{Keys, Tables, packed};

/// Number of receivers from which a table for each point costs less than a multiplication for each receiver.
const MANY: usize = 24;
/// Fewer pairs than this are scanned by libsecp256k1: the shared inversions of a batch would cost more.
const FEW_PAIRS: usize = 8;

/// The tweaks of fewer transactions are computed by libsecp256k1, for the same reason.
const FEW_TXS: usize = 8;

/// Scans with vector instructions if the machine has them, else in plain 64-bit code.
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
    /// The fastest engine of this machine.
    pub fn new() -> Self {
        Self {
            lanes: Lanes::fastest(),
        }
    }

    /// All engines of this machine, the slowest first: plain 64-bit code, which every machine supports.
    pub fn all() -> Vec<Self> {
        Lanes::all().into_iter().map(|lanes| Self { lanes }).collect()
    }

    /// The engine with this name ([`Engine::name`]); `None` if unknown, or not supported by this machine.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|fast| fast.lanes.name() == name)
    }

    /// Times of the steps of a scan, for profiling.
    pub fn measure(
        &self,
        receivers: &[&Prepared],
        rows: &[&EligibleTx],
    ) -> Result<[(Step, Duration); Step::ALL.len()], EngineError> {
        let mut clock = Clock::start();
        let wallets = wallets(receivers)?;
        self.pairs(&wallets, read(&wallets, rows), &mut clock);
        Ok(clock.spent())
    }

    /// Runs only field multiplications, and returns their number in all lanes: a lower bound for benchmarks.
    pub fn multiply_only(&self) -> usize {
        let bare = Bare { rounds: 20_000 };
        with_lanes!(self.lanes, L, token => {
            let count = bare.count::<L>();
            L::vectorize(token, bare);
            count
        })
    }

    /// Candidate pairs, ordered by row and then by receiver.
    fn pairs(&self, wallets: &[Wallet<'_>], rows: Rows, clock: &mut Clock) -> Vec<Pair> {
        with_lanes!(self.lanes, L, token => suspects::<L>(token, wallets, rows, clock))
    }
}

impl Engine for Fast {
    fn name(&self) -> &'static str {
        self.lanes.name()
    }

    fn prepare(&self, receiver: Receiver) -> Prepared {
        let tables = Tables::new(&receiver);
        Prepared::with_tables(receiver, tables)
    }

    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Result<Vec<Option<PublicKey>>, EngineError> {
        // One lane multiplies no faster than libsecp256k1, which follows each scalar's own digits.
        if txs.len() < FEW_TXS || matches!(self.lanes, Lanes::Portable) {
            return Ok(reference::tweaks(txs));
        }
        Ok(with_lanes!(self.lanes, L, token => tweaks::of::<L>(token, txs)))
    }

    fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        if receivers.len() * rows.len() < FEW_PAIRS {
            return Ok(reference::hits(receivers, rows));
        }
        let confirmed = self
            .suspects(receivers, rows)?
            .into_iter()
            .filter_map(|(row, receiver)| {
                let matches = scan(receivers.get(receiver)?, rows.get(row)?);
                (!matches.is_empty()).then_some(Hit { receiver, row, matches })
            });
        Ok(confirmed.collect())
    }

    fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Pair>, EngineError> {
        if receivers.len() * rows.len() < FEW_PAIRS {
            return Ok(reference::suspects(receivers, rows));
        }
        let wallets = wallets(receivers)?;
        let words = read(&wallets, rows);
        Ok(self.pairs(&wallets, words, &mut Clock::start()))
    }

    fn scan_stored(&self, receivers: &[&Prepared], rows: &[StoredRow<'_>]) -> Result<Vec<Pair>, EngineError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let wallets = wallets(receivers)?;
        let words = with_lanes!(self.lanes, L, token => read_stored::<L>(token, &wallets, rows));
        let confirmed = self
            .pairs(&wallets, words, &mut Clock::start())
            .into_iter()
            .filter(|&(row, receiver)| {
                let tx = rows.get(row).and_then(StoredRow::parse);
                tx.zip(receivers.get(receiver))
                    .is_some_and(|(tx, keys)| pays(keys, &tx))
            });
        Ok(confirmed.collect())
    }
}

/// A receiver, and the tables that were computed for it.
#[derive(Clone, Copy)]
struct Wallet<'a> {
    receiver: &'a Receiver,
    tables: &'a Tables,
}

fn wallets<'a>(receivers: &[&'a Prepared]) -> Result<Vec<Wallet<'a>>, EngineError> {
    let wallet = |receiver: &&'a Prepared| {
        let tables = receiver.tables().ok_or(EngineError::ForeignReceiver)?;
        Ok(Wallet { receiver, tables })
    };
    receivers.iter().map(wallet).collect()
}

fn empty_rows(wallets: &[Wallet<'_>], rows: usize) -> Rows {
    let may_subtract = wallets.iter().any(|wallet| wallet.tables.keys.may_subtract());
    Rows::with_capacity(rows, may_subtract)
}

fn read(wallets: &[Wallet<'_>], rows: &[&EligibleTx]) -> Rows {
    let mut words = empty_rows(wallets, rows.len());
    for tx in rows {
        words.push(packed(&tx.tweak), tx.outputs.iter().map(|output| &output.key));
    }
    words
}

/// Rows of an index, their points decompressed in lanes.
fn read_stored<L: Lane>(token: L::Token, wallets: &[Wallet<'_>], rows: &[StoredRow<'_>]) -> Rows {
    let mut words = empty_rows(wallets, rows.len());
    for some in rows.chunks(L::LANES) {
        let keys: [&[u8; 33]; MAX_LANES] = std::array::from_fn(|i| some[i.min(some.len() - 1)].tweak);
        let (points, good) = L::vectorize(token, Decompress { keys: &keys });
        for (lane, (row, point)) in some.iter().zip(points).enumerate() {
            // A row whose tweak is not a point gets no outputs, so that it has no match.
            let outputs = if good >> lane & 1 == 1 { row.outputs } else { &[] };
            words.push(point, outputs.iter());
        }
    }
    words
}

fn suspects<L: Lane>(token: L::Token, wallets: &[Wallet<'_>], mut rows: Rows, clock: &mut Clock) -> Vec<Pair> {
    let mut pairs = Vec::new();
    if wallets.is_empty() || rows.len() == 0 {
        return pairs;
    }
    let keys: Vec<&Keys> = wallets.iter().map(|wallet| &wallet.tables.keys).collect();
    let wanted = Wanted::of::<L>(token, &keys, &mut rows);
    let rows = &rows;
    clock.lap(Step::Rows);
    if wallets.len() < MANY {
        let mut scanner = OneScalar::<L>::new(token);
        scanner.batch.clock = *clock;
        for (i, (wallet, wanted)) in wallets.iter().zip(wanted).enumerate() {
            let key = Zeroizing::new(wallet.receiver.scan_secret().secret_bytes());
            let schedule = Schedule::new(&key);
            scanner.scan(&schedule, wanted, rows, |row| pairs.push((row, i)));
        }
        pairs.sort_unstable();
        *clock = scanner.batch.clock;
        return pairs;
    }
    let digits: Vec<&CombDigits> = wallets.iter().map(|wallet| &*wallet.tables.digits).collect();
    let mut scanner = ManyScalars::<L>::new(token);
    scanner.batch.clock = *clock;
    scanner.scan(&digits, &wanted, rows, |row, receiver| pairs.push((row, receiver)));
    *clock = scanner.batch.clock;
    pairs
}
