//! The task that scans the index for watches with `from_height`.
//!
//! Addresses, and the connections of one address, take turns by what their scans cost ([`Fair`]); a turn is bounded.
//! Scans of others whose next blocks lie in the same range share the turn, as many of each address as the owner of the
//! turn has, unless they are deep in debt: a range of the index is read once, and each of its rows is decompressed
//! once, for all of them; equal keys are scanned once. Of one connection the lowest scan goes first, so that those
//! behind catch up and share; every few turns the one that has waited longest goes. The threads of the index do the
//! work. Detection decides which of the payments are sent, and where a scan continues (`backfill`).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_bip352::{Prepared, Scanner};
use sdk_relay_chain::joined;
use sdk_relay_index::{Index, scan_within};
use sdk_relay_scheduler::{Fair, Owner, PAIR, cost_of_row};
use sdk_relay_store::index::IndexError;

use super::commands::Detection;
use super::history_scan::{Left, Scan};
use super::scan_queue::ScanQueue;

/// Pairs of row and receiver in one turn: some hundredths of a second of one core. A client that goes away, or a new
/// one, is noticed between two turns: a client with a single key waits for at most one turn of others.
const PAIRS: usize = 8_192;
/// Rows of one turn at least, so that reading pays.
const ROWS_AT_LEAST: usize = 256;
/// Keys of one turn at most: one block may have more rows than a turn should, and has fewer keys then.
const KEYS: usize = PAIRS / ROWS_AT_LEAST;
/// Keys of one turn at least: a row is decompressed once for all of them, which costs about as much as scanning it for
/// one key.
const KEYS_AT_LEAST: usize = 4;
/// What a turn may cost, in units of [`PAIR`], and its search of transactions with matches as much again.
const TURN: u64 = PAIRS as u64 * PAIR;
/// Quantum of an owner in a round: a small part of a turn, so that an owner with one key is served between two turns of
/// an owner with many.
const QUANTUM: u64 = TURN / 8;
/// Of so many turns one goes to the scan that has waited longest; the others to the lowest.
const TURNS: u64 = 4;
/// Between two looks at a mailbox that is full, and at an index that is behind.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The scanning task.
pub struct HistoryScanner {
    pub(super) index: Index,
    pub(super) scanner: Scanner,
    pub(super) orders: Arc<ScanQueue>,
    pub(super) detection: Detection,
    /// The last read failed, and that is in the log.
    pub(super) reading_fails: bool,
}

impl HistoryScanner {
    /// Scans until detection has ended.
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
                    Some(waiting) = self.orders.next() => scans.extend(waiting),
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
            }
        }
    }

    /// Scans one range. `false` when there is nothing to scan for now.
    async fn turn(&mut self, turn: u64, turns: &mut Turns, scans: &mut Vec<Scan>) -> bool {
        // One that has come to a damaged block waits until that is restored; the others go on.
        let is_ready = |s: &Scan| s.mailbox.has_capacity() && self.index.can_read(s.next);
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
        let blocks = match joined(tokio::task::spawn_blocking(move || store.blocks(from, PAIRS / sharing)).await) {
            Some(Ok(blocks)) => blocks,
            // It is set aside now, and in the log: another scan goes on.
            Some(Err(IndexError::Corrupt { .. })) => return true,
            Some(Err(error)) => {
                if !std::mem::replace(&mut self.reading_fails, true) {
                    tracing::error!(%error, "cannot read the tweak index for histories; retrying");
                }
                return false;
            }
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
            // Nothing was done for it, but others have their turns first.
            turns.charge(owner, TURN);
            return false;
        };
        let rows: usize = blocks.iter().map(|b| b.transactions.len()).sum();
        let companions = turns.companions();
        let shares = |s: &Scan| s.mailbox.owner() == owner || companions.contains(&s.mailbox.owner());
        let mut in_range: Vec<&mut Scan> = scans
            .iter_mut()
            .filter(|s| shares(s) && s.mailbox.has_capacity() && (from..=last).contains(&s.next))
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
            // A block without transactions costs something too.
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
        // What the scans of one connection may leave in its mailbox they share.
        let mut left: HashMap<Owner, Left> = HashMap::new();
        for (column, scan) in sharing {
            scan.served = turn;
            let found = found.get(column).cloned().unwrap_or_default();
            let left = left.entry(scan.mailbox.owner()).or_insert_with(|| Left {
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
        let next_scans = self.detection.report_scanned(scanned_ranges).await;
        let mut went_on = false;
        for (scan, next_scan) in going.into_iter().zip(next_scans) {
            went_on |= scan.go_on(next_scan);
        }
        scans.retain(|s| s.next <= s.until);
        went_on
    }

    /// Leaves out the blocks that cannot be had: damaged ones, and those below the index's first, which may have risen
    /// since a scan began, as the node had pruned what came next.
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
            scan.go_on(next_scan);
        }
        scans.retain(|s| s.next <= s.until);
    }
}

/// Whose turn it is.
struct Turns {
    fair: Fair,
    /// Who had scans that are ready when that was last looked at.
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
            self.fair.rest(*address, *owner);
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

    /// The owners that may share the turns of others: not those whose debt is so large that others come first, as they
    /// would lengthen their turns.
    fn companions(&self) -> HashSet<Owner> {
        self.fair.companions(usize::MAX).into_iter().collect()
    }

    fn charge(&mut self, owner: Owner, cost: u64) {
        if let Some(address) = self.ready.get(&owner) {
            self.fair.charge(*address, owner, cost);
        }
    }
}

/// Who shares a turn.
struct Share {
    owner: Owner,
    /// Keys at most.
    most: usize,
    /// Keys at most of the owner whose turn it is.
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

    /// The column of this scan's keys, where there is a place for it: equal keys share one.
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
