//! The task that scans the index for watches with `from_height`.
//!
//! Addresses, and the connections of one address, take turns by the cost of their scans ([`Turns`]); a turn is bounded.
//! Scans of others whose next blocks lie in the same range share the turn, as many of each address as the owner of the
//! turn has, unless they are deep in debt: a range of the index is read once, and each of its rows is decompressed
//! once, for all of them; equal keys are scanned once. Within a connection the lowest scan goes first, so that it
//! catches up with the others and can share their turns; every few turns, the one that has waited longest goes first.
//! The threads of the index do the work. Payments that were found wait for their spends in a queue of their own
//! (`history_spends`). Detection decides which of the payments are sent, and where a scan continues (`backfill`).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_chain::{ChainSource, joined};
use sdk_relay_index::{Index, scan_within};
use sdk_relay_platform::blocking;
use sdk_relay_scheduler::{Owner, PAIR, cost_of_row};
use sdk_relay_store::index::IndexError;

use super::commands::Detection;
use super::history_scan::{Left, NextScan, Scan, ScannedRange};
use super::history_spends::SpendFinder;
use super::look_up::LOOKED_UP;
use super::mailbox::Mailbox;
use super::scan_queue::ScanQueue;
use super::spend_queue::SpendQueue;
use super::turns::Turns;

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
    pub(super) spends: Arc<SpendQueue>,
    pub(super) detection: Detection,
    /// The node, which has the transactions that the index omits; `None`: they are reported without their txid.
    pub(super) chain: Option<Arc<dyn ChainSource>>,
    /// Whether the last read failed, which was logged.
    pub(super) reading_fails: bool,
}

impl HistoryScanner {
    /// Runs until detection has ended.
    pub async fn run(self) {
        let finder = SpendFinder {
            index: self.index.clone(),
            chain: self.chain.clone(),
            detection: self.detection.clone(),
            scans: Arc::clone(&self.orders),
            queue: Arc::clone(&self.spends),
        };
        tokio::select! {
            () = self.scan() => {}
            () = finder.run() => {}
        }
    }

    async fn scan(mut self) {
        let mut scans: Vec<Scan> = Vec::new();
        let mut turns = Turns::new(QUANTUM);
        for turn in 1u64.. {
            if scans.is_empty() {
                match self.orders.next().await {
                    Some(waiting) => scans = waiting,
                    None => return,
                }
            }
            add(&mut scans, self.orders.take());
            scans.retain(|s| !s.mailbox.is_dead());
            self.skip_missing(&mut scans).await;
            if !self.turn(turn, &mut turns, &mut scans).await {
                tokio::select! {
                    waiting = self.orders.next() => match waiting {
                        Some(waiting) => add(&mut scans, waiting),
                        None => return,
                    },
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
        }
    }

    /// Scans one range. Returns `false` if there is nothing to scan at the moment.
    async fn turn(&mut self, turn: u64, turns: &mut Turns, scans: &mut Vec<Scan>) -> bool {
        let busy = self.spends.busy();
        // A scan at a damaged block waits until the block is restored; the others continue.
        let is_ready = |s: &Scan| {
            s.mailbox.has_capacity() && busy.may_find(&s.mailbox) && s.next <= s.until && self.index.can_read(s.next)
        };
        let client = |s: &Scan| (s.mailbox.owner(), s.mailbox.address());
        let Some(owner) = turns.next(scans.iter().filter(|s| is_ready(s)).map(client)) else {
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
        let (mut empty, mut found_ranges) = (Vec::new(), Vec::new());
        // The scans of one connection share the capacity of its mailbox.
        let mut left: HashMap<Owner, Left> = HashMap::new();
        for (column, scan) in sharing {
            scan.served = turn;
            let found = found.get(column).cloned().unwrap_or_default();
            let left = left
                .entry(scan.mailbox.owner())
                .or_insert_with(|| left_for(&scan.mailbox));
            if let Some(scanned) = scan.scanned(&blocks, found, left) {
                left.payments = left.payments.saturating_sub(scanned.payments());
                left.is_untouched = false;
                if scanned.found.is_empty() {
                    empty.push(scanned);
                } else {
                    found_ranges.push(scanned);
                }
            }
        }
        let has_found = !found_ranges.is_empty();
        self.hand_over(found_ranges, scans);
        self.report(empty, scans).await || has_found
    }

    /// Passes payments that were found on, with their scans, which continue when the spends are known.
    fn hand_over(&self, found: Vec<ScannedRange>, scans: &mut Vec<Scan>) {
        let mut by_owner: HashMap<Owner, (Mailbox, Vec<(Scan, ScannedRange)>)> = HashMap::new();
        for range in found {
            let Some(at) = scans.iter().position(|s| s.watch_id == range.watch_id) else {
                continue;
            };
            let scan = scans.swap_remove(at);
            let (_, found) = by_owner
                .entry(scan.mailbox.owner())
                .or_insert_with(|| (scan.mailbox.clone(), Vec::new()));
            found.push((scan, range));
        }
        for (mailbox, found) in by_owner.into_values() {
            self.spends.add_found(&mailbox, found);
        }
    }

    /// Reports ranges without payments; their scans continue. Returns whether one could be used.
    async fn report(&self, ranges: Vec<ScannedRange>, scans: &mut Vec<Scan>) -> bool {
        if ranges.is_empty() {
            return false;
        }
        let watches: Vec<String> = ranges.iter().map(|range| range.watch_id.clone()).collect();
        let next_scans = self.detection.report_scanned(ranges).await;
        let mut next_scans: HashMap<String, NextScan> = watches.into_iter().zip(next_scans).collect();
        let mut went_on = false;
        for scan in scans.iter_mut() {
            if let Some(next) = next_scans.remove(&scan.watch_id) {
                went_on |= scan.resume(next);
            }
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

    /// Skips missing blocks: damaged ones, and those below the first of the index, which may have risen since the scan
    /// began, because the node has pruned the next ones.
    async fn skip_missing(&self, scans: &mut Vec<Scan>) {
        let missing = |s: &Scan| Some(s.missing(self.index.missing_from(s.next)?));
        let ranges: Vec<_> = scans.iter().filter_map(missing).collect();
        self.report(ranges, scans).await;
    }
}

/// At the start of a turn. No more payments than one search for their spends takes: so a look-up is bounded, for which
/// the scans of other connections of the address may wait.
fn left_for(mailbox: &Mailbox) -> Left {
    Left {
        payments: mailbox.capacity().min(LOOKED_UP),
        is_untouched: true,
    }
}

/// Adds scans; one of the same watch is replaced.
fn add(scans: &mut Vec<Scan>, new: Vec<Scan>) {
    if !new.is_empty() {
        let watches: HashSet<&str> = new.iter().map(|s| s.watch_id.as_str()).collect();
        scans.retain(|s| !watches.contains(s.watch_id.as_str()));
        scans.extend(new);
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
