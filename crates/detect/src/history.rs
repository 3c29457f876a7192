//! The task that scans the index for watches with `from_height`.
//!
//! Addresses, and the connections of one address, take turns by the cost of their scans ([`Fair`]); a turn is bounded.
//! Scans of others whose next blocks lie in the same range share the turn, as many of each address as the owner of the
//! turn has, unless they are deep in debt: a range of the index is read once, and each of its rows is decompressed
//! once, for all of them; equal keys are scanned once. Within a connection the lowest scan goes first, so that it
//! catches up with the others and can share their turns; every few turns, the one that has waited longest goes first.
//! The threads of the index do the work. Detection decides which of the payments are sent, and where a scan continues
//! (`backfill`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::OutPoint;
use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_chain::{ChainSource, joined};
use sdk_relay_index::{Index, IndexStatus, NEARLY, scan_within};
use sdk_relay_platform::blocking;
use sdk_relay_scheduler::{Fair, Owner, PAIR, cost_of_row};
use sdk_relay_store::index::IndexError;

use super::commands::Detection;
use super::history_scan::{Found, Left, Scan, ScannedRange};
use super::history_spends::spenders;
use super::scan_queue::ScanQueue;

/// Pairs of row and receiver in one turn: a few hundredths of a second on one core. Between two turns the task notices
/// clients that have disconnected and new ones: a client with a single key waits for at most one turn of others.
const PAIRS: usize = 8_192;
/// Smallest number of rows of a turn, to amortise the read.
const ROWS_AT_LEAST: usize = 256;
/// Largest number of keys of a turn: a block with more rows than a turn is scanned for fewer keys.
const KEYS: usize = PAIRS / ROWS_AT_LEAST;
/// Smallest number of keys of a turn: a row is decompressed once for all of them, which costs about as much as scanning
/// it for one key.
const KEYS_AT_LEAST: usize = 4;
/// Largest cost of a turn, in units of [`PAIR`]; its search within matching transactions may cost the same again.
const TURN: u64 = PAIRS as u64 * PAIR;
/// Quantum of an owner in a round: a small part of a turn, so that an owner with one key is served between two turns of
/// an owner with many.
const QUANTUM: u64 = TURN / 8;
/// One of this many turns goes to the scan that has waited longest; the others to the lowest.
const TURNS: u64 = 4;
/// Poll interval of a full mailbox, and of an index that is behind.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The scanning task.
pub struct HistoryScanner {
    pub(super) index: Index,
    pub(super) scanner: Scanner,
    pub(super) orders: Arc<ScanQueue>,
    pub(super) detection: Detection,
    /// The node, which has the transactions that the index omits; `None`: they are reported without their txid.
    pub(super) chain: Option<Arc<dyn ChainSource>>,
    /// Whether the last read failed, which was logged.
    pub(super) reading_fails: bool,
}

impl HistoryScanner {
    /// Runs until detection has ended.
    pub async fn run(mut self) {
        let mut scans: Vec<Scan> = Vec::new();
        let mut turns = Turns::default();
        for turn in 1u64.. {
            if scans.is_empty() {
                match self.orders.next().await {
                    Some(waiting) => scans = waiting,
                    None => return,
                }
            }
            scans.extend(self.orders.take());
            scans.retain(|s| !s.mailbox.is_dead());
            self.skip_missing(&mut scans).await;
            if !self.turn(turn, &mut turns, &mut scans).await {
                tokio::select! {
                    waiting = self.orders.next() => match waiting {
                        Some(waiting) => scans.extend(waiting),
                        None => return,
                    },
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
        }
    }

    /// Scans one range. Returns `false` if there is nothing to scan at the moment.
    async fn turn(&mut self, turn: u64, turns: &mut Turns, scans: &mut Vec<Scan>) -> bool {
        let is_current = is_current(&self.index.status.borrow());
        // A scan at a damaged block waits until the block is restored; the others continue.
        let is_ready =
            |s: &Scan| s.mailbox.has_capacity() && s.next <= s.until_now(is_current) && self.index.can_read(s.next);
        let Some(owner) = turns.next(scans.iter().filter(|s| is_ready(s))) else {
            return false;
        };
        let own = || scans.iter().filter(|s| is_ready(s) && s.mailbox.owner() == owner);
        let lead = if turn.is_multiple_of(TURNS) {
            own().min_by_key(|s| (s.served, s.next))
        } else {
            own().min_by_key(|s| s.next)
        };
        let Some(from) = lead.map(|s| s.next) else {
            return false;
        };
        let sharing = own().count().max(turns.addresses()).clamp(1, KEYS);
        let store = Arc::clone(&self.index.store);
        let blocks = match joined(blocking::spawn(move || store.blocks(from, PAIRS / sharing)).await) {
            Some(Ok(blocks)) => blocks,
            // The block is quarantined and logged now: continue with another scan.
            Some(Err(IndexError::Corrupt { .. })) => return true,
            Some(Err(error)) => return self.cannot_read(&error),
            None => return false,
        };
        if std::mem::replace(&mut self.reading_fails, false) {
            tracing::info!("the tweak index can be read again");
        }
        let last = blocks
            .last()
            .map(|b| b.height)
            .filter(|_| blocks.first().is_some_and(|b| b.height == from));
        let Some(last) = last else {
            // No work was done for it, but others have their turns first.
            turns.charge(owner, TURN);
            return false;
        };
        let rows: usize = blocks.iter().map(|b| b.transactions.len()).sum();
        let co_scheduled = turns.co_scheduled();
        let shares = |s: &Scan| s.mailbox.owner() == owner || co_scheduled.contains(&s.mailbox.owner());
        let mut in_range: Vec<&mut Scan> = scans
            .iter_mut()
            .filter(|s| shares(s) && is_ready(s) && (from..=last).contains(&s.next))
            .collect();
        // The scans of the owner of the turn come first, the lowest of them before the others.
        in_range.sort_by_key(|s| (s.mailbox.owner() != owner, s.next));
        let is_shared = in_range.last().is_some_and(|s| s.mailbox.owner() != owner);
        let mut share = Share::new(owner, rows, is_shared);
        let mut sharing: Vec<(usize, &mut Scan)> = Vec::new();
        for scan in in_range {
            if let Some(column) = share.take(scan) {
                sharing.push((column, scan));
            }
        }
        for (_, scan) in &sharing {
            let own = blocks.iter().filter(|b| (scan.next..=scan.until).contains(&b.height));
            // A block without transactions has a cost too.
            let rows: usize = own.map(|b| b.transactions.len() + 1).sum();
            turns.charge(scan.mailbox.owner(), rows as u64 * cost_of_row(&scan.receiver));
        }
        let receivers = share.receivers;
        let (scanner, threads) = (self.scanner.clone(), self.index.pool.threads());
        let work = move || {
            let keys: Vec<&Prepared> = receivers.iter().map(|r| &**r).collect();
            let found = scan_within(&scanner, &keys, &blocks, threads, TURN);
            (blocks, found)
        };
        let Some((blocks, found)) = self.index.pool.run(work).await else {
            return false;
        };
        let (mut scanned_ranges, mut going) = (Vec::new(), Vec::new());
        // The scans of one connection share the capacity of its mailbox.
        let mut left: HashMap<Owner, Left> = HashMap::new();
        for (column, scan) in sharing {
            scan.served = turn;
            let found = found.get(column).cloned().unwrap_or_default();
            let left = left.entry(scan.mailbox.owner()).or_insert_with(|| Left {
                is_current,
                payments: scan.mailbox.capacity(),
                is_untouched: true,
            });
            if let Some(scanned) = scan.scanned(&blocks, found, left) {
                left.payments = left.payments.saturating_sub(scanned.payments());
                left.is_untouched = false;
                scanned_ranges.push(scanned);
                going.push(scan);
            }
        }
        if !self.look_up_spends(&mut scanned_ranges, &mut going, is_current).await {
            return false;
        }
        let next_scans = self.detection.report_scanned(scanned_ranges).await;
        let mut went_on = false;
        for (scan, next_scan) in going.into_iter().zip(next_scans) {
            went_on |= scan.resume(next_scan);
        }
        scans.retain(|s| s.next <= s.until);
        went_on
    }

    /// Logs the first of several failures. Returns `false`: there is nothing to scan at the moment.
    fn cannot_read(&mut self, error: &IndexError) -> bool {
        if !std::mem::replace(&mut self.reading_fails, true) {
            tracing::error!(%error, "cannot read the tweak index for histories; retrying");
        }
        false
    }

    /// Adds the spends of the payments that were found, each range by the scan at the same place; with the last block
    /// of a history, those of earlier payments too. `false` if they cannot be looked up at the moment: the ranges must
    /// be scanned again.
    async fn look_up_spends(&mut self, ranges: &mut [ScannedRange], scans: &mut [&mut Scan], is_current: bool) -> bool {
        let mut outputs = BTreeSet::new();
        for (range, scan) in ranges.iter().zip(&*scans) {
            outputs.extend(range.found.iter().flat_map(Found::outputs));
            if range.through.height >= scan.until {
                outputs.extend(scan.unspent.iter().copied());
            }
        }
        if outputs.is_empty() {
            return true;
        }
        let outputs: Vec<(u32, OutPoint)> = outputs.into_iter().collect();
        let looked_up = match spenders(&self.index, self.chain.as_deref(), outputs).await {
            Ok(Some(looked_up)) => looked_up,
            // A reorganisation has changed the index meanwhile.
            Ok(None) => return false,
            Err(error) => return self.cannot_read(&error),
        };
        for (range, scan) in ranges.iter_mut().zip(scans) {
            range.index_tip = Some(looked_up.tip);
            if range.through.height >= scan.until {
                let spent = scan.unspent.iter().map(|(_, outpoint)| *outpoint);
                let later = spent.filter_map(|outpoint| Some((outpoint, *looked_up.spends.get(&outpoint)?)));
                range.later = later.collect();
            }
            for found in &mut range.found {
                if !is_current {
                    let unspent = found.outputs().filter(|(_, o)| !looked_up.spends.contains_key(o));
                    scan.unspent.extend(unspent);
                }
                let spends = found.outputs().filter_map(|(_, outpoint)| {
                    let spend = looked_up.spends.get(&outpoint)?;
                    Some((outpoint.vout, *spend))
                });
                found.spends = spends.collect();
            }
        }
        true
    }

    /// Skips missing blocks: damaged ones, and those below the first of the index, which may have risen since the scan
    /// began, because the node has pruned the next ones.
    async fn skip_missing(&self, scans: &mut Vec<Scan>) {
        let mut skipping = Vec::new();
        let mut scanned_ranges = Vec::new();
        for scan in scans.iter_mut() {
            if let Some(missing) = self.index.missing_from(scan.next) {
                scanned_ranges.push(scan.missing(missing));
                skipping.push(scan);
            }
        }
        if scanned_ranges.is_empty() {
            return;
        }
        let next_scans = self.detection.report_scanned(scanned_ranges).await;
        for (scan, next_scan) in skipping.into_iter().zip(next_scans) {
            scan.resume(next_scan);
        }
        scans.retain(|s| s.next <= s.until);
    }
}

/// Whether detection has the spends of all blocks that the index does not have yet.
fn is_current(index: &IndexStatus) -> bool {
    let Some(target) = index.target else {
        // The node has not answered yet: detection has no further block either.
        return true;
    };
    index.tip.is_some_and(|tip| tip.height.saturating_add(NEARLY) >= target)
}

/// Selects the owner of the next turn.
struct Turns {
    fair: Fair,
    /// Owners with ready scans at the last check.
    ready: HashMap<Owner, IpAddr>,
    addresses: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            fair: Fair::new(QUANTUM),
            ready: HashMap::new(),
            addresses: 0,
        }
    }
}

impl Turns {
    fn next<'s>(&mut self, ready: impl Iterator<Item = &'s Scan>) -> Option<Owner> {
        let now: HashMap<Owner, IpAddr> = ready.map(|s| (s.mailbox.owner(), s.mailbox.address())).collect();
        for (owner, address) in self.ready.iter().filter(|(owner, _)| !now.contains_key(owner)) {
            self.fair.set_idle(*address, *owner);
        }
        for (owner, address) in &now {
            self.fair.enter(*address, *owner);
        }
        self.addresses = now.values().collect::<HashSet<_>>().len();
        self.ready = now;
        self.fair.pick()
    }

    /// Addresses that have scans.
    fn addresses(&self) -> usize {
        self.addresses
    }

    /// The owners that may share the turns of others: except those with a large debt, because they would lengthen the
    /// turns of owners with priority.
    fn co_scheduled(&self) -> HashSet<Owner> {
        self.fair.co_scheduled(usize::MAX).into_iter().collect()
    }

    fn charge(&mut self, owner: Owner, cost: u64) {
        if let Some(address) = self.ready.get(&owner) {
            self.fair.charge(*address, owner, cost);
        }
    }
}

/// Allocates the keys of a turn.
struct Share {
    owner: Owner,
    /// Largest number of keys.
    most: usize,
    /// Largest number of keys of the owner of the turn.
    most_own: usize,
    receivers: Vec<Arc<Prepared>>,
    /// By the address of the receiver in memory, which serves as its identity.
    columns: HashMap<usize, usize>,
    /// Keys that were added, by address; those of the owner of the turn are counted separately.
    by_address: HashMap<IpAddr, usize>,
    own: usize,
}

impl Share {
    /// For a range of `rows` rows. `is_shared`: other owners have scans in it, for which half of the keys are reserved.
    fn new(owner: Owner, rows: usize, is_shared: bool) -> Self {
        let most = (PAIRS / rows.max(1)).clamp(KEYS_AT_LEAST, KEYS);
        Self {
            owner,
            most,
            most_own: if is_shared { most / 2 } else { most },
            receivers: Vec::new(),
            columns: HashMap::new(),
            by_address: HashMap::new(),
            own: 0,
        }
    }

    /// The column of the keys of this scan, if there is capacity: equal keys share one.
    fn take(&mut self, scan: &Scan) -> Option<usize> {
        let keys = Arc::as_ptr(&scan.receiver).addr();
        if let Some(column) = self.columns.get(&keys) {
            return Some(*column);
        }
        if self.receivers.len() >= self.most {
            return None;
        }
        if scan.mailbox.owner() == self.owner {
            if self.own >= self.most_own {
                return None;
            }
            self.own += 1;
        } else {
            let most = self.own;
            let of_address = self.by_address.entry(scan.mailbox.address()).or_default();
            if *of_address >= most {
                return None;
            }
            *of_address += 1;
        }
        let column = self.receivers.len();
        self.receivers.push(Arc::clone(&scan.receiver));
        self.columns.insert(keys, column);
        Some(column)
    }
}

#[cfg(test)]
mod tests;
