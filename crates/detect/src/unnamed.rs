//! Spends that were reported without their transactions, because the node has not given their blocks in time: they are
//! looked up again, with growing pauses, until they are named or the watch ends. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::OutPoint;
use sdk_relay_chain::BlockRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::history_scan::ChainSpend;
use super::look_up::{At, LOOKED_UP};
use super::mailbox::Mailbox;
use super::spend::Coin;

/// Spends without a name that are kept for one watch: more than a wallet has in the blocks of an outage.
const OF_WATCH: usize = 2_000;
/// The same of all watches: 6 MB.
const OF_ALL: usize = 20_000;
/// Pause before the first of the later look-ups, and the longest one. A node that restarts takes a minute, one that
/// reads its database again longer.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

/// How many spends without a name may be kept, of all watches.
#[derive(Clone, Debug)]
pub(super) struct NameBudget(Arc<Semaphore>);

/// Those of one watch.
#[derive(Debug)]
pub(super) struct Unnamed {
    budget: NameBudget,
    spends: BTreeMap<OutPoint, Waiting>,
    /// The last output of the look-up before: the others have their turns first.
    after: Option<OutPoint>,
    /// Look-ups in a row that have named nothing.
    failures: u32,
    /// A look-up is queued, or in progress.
    is_queued: bool,
}

#[derive(Debug)]
struct Waiting {
    coin: Coin,
    /// Height of the block that was reported.
    height: u32,
    _permit: OwnedSemaphorePermit,
}

/// A request of detection to look up the transactions that spend outputs of a watch.
#[derive(Debug)]
pub(super) struct NameLookUp {
    pub(super) watch_id: String,
    pub(super) mailbox: Mailbox,
    pub(super) outputs: Vec<At>,
    pub(super) pause: Duration,
}

/// What was found.
pub(super) struct Named {
    pub(super) look_up: NameLookUp,
    /// The tip of the index.
    pub(super) tip: BlockRef,
    pub(super) spends: HashMap<OutPoint, ChainSpend>,
}

impl Default for NameBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(OF_ALL)))
    }
}

impl Unnamed {
    pub(super) fn new(budget: NameBudget) -> Self {
        Self {
            budget,
            spends: BTreeMap::new(),
            after: None,
            failures: 0,
            is_queued: false,
        }
    }

    /// A spend was reported in the block at this height, without its transaction. `false`: there are too many, and it
    /// is not looked up again.
    pub(super) fn add(&mut self, outpoint: OutPoint, coin: Coin, height: u32) -> bool {
        if self.spends.len() >= OF_WATCH && !self.spends.contains_key(&outpoint) {
            return false;
        }
        let Ok(permit) = Arc::clone(&self.budget.0).try_acquire_owned() else {
            return false;
        };
        let waiting = Waiting {
            coin,
            height,
            _permit: permit,
        };
        self.spends.insert(outpoint, waiting);
        true
    }

    /// The outputs to look up next, after a pause; `None` if there are none, or their look-up is queued.
    pub(super) fn next(&mut self) -> Option<(Vec<At>, Duration)> {
        if self.is_queued || self.spends.is_empty() {
            return None;
        }
        let from = self.after.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.spends.range((from, Bound::Unbounded));
        let outputs = later.take(LOOKED_UP).map(|(o, waiting)| (waiting.coin.height, *o));
        let mut outputs: Vec<At> = outputs.collect();
        if outputs.is_empty() {
            let first = self.spends.iter().take(LOOKED_UP);
            outputs = first.map(|(o, waiting)| (waiting.coin.height, *o)).collect();
        }
        self.after = outputs.last().map(|(_, outpoint)| *outpoint);
        self.is_queued = true;
        let pause = SHORTEST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(LONGEST);
        Some((outputs, pause))
    }

    /// A look-up has ended.
    pub(super) fn looked_up(&mut self, has_named: bool) {
        self.is_queued = false;
        self.failures = if has_named { 0 } else { self.failures.saturating_add(1) };
    }

    /// Forgets a spend. Returns its output, and the height of the block that was reported.
    pub(super) fn take(&mut self, outpoint: &OutPoint) -> Option<(Coin, u32)> {
        self.spends
            .remove(outpoint)
            .map(|waiting| (waiting.coin, waiting.height))
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash;

    use super::*;

    fn outpoint(n: u32) -> OutPoint {
        OutPoint::new(Txid::hash(&n.to_le_bytes()), 0)
    }

    fn coin() -> Coin {
        Coin {
            amount_sats: 1,
            address: "sprt1".into(),
            label: None,
            height: 7,
        }
    }

    #[test]
    fn each_has_its_turn_and_the_pauses_grow_until_one_is_named() {
        let mut unnamed = Unnamed::new(NameBudget::default());
        assert!(unnamed.next().is_none());
        let count = LOOKED_UP as u32 + 1;
        assert!((0..count).all(|n| unnamed.add(outpoint(n), coin(), 9)));
        let (first, pause) = unnamed.next().unwrap();
        assert_eq!((first.len(), pause), (LOOKED_UP, SHORTEST));
        assert!(unnamed.next().is_none(), "one at a time");
        unnamed.looked_up(false);
        let (second, pause) = unnamed.next().unwrap();
        assert_eq!((second.len(), pause), (1, 2 * SHORTEST));
        assert!(!first.contains(&second[0]));
        unnamed.looked_up(false);
        let (third, pause) = unnamed.next().unwrap();
        assert_eq!((&third, pause), (&first, 4 * SHORTEST));
        for _ in 0..40 {
            unnamed.looked_up(false);
            assert!(unnamed.next().is_some());
        }
        unnamed.looked_up(false);
        assert_eq!(unnamed.next().unwrap().1, LONGEST);
        assert_eq!(unnamed.take(&first[0].1), Some((coin(), 9)));
        unnamed.looked_up(true);
        assert_eq!(unnamed.next().unwrap().1, SHORTEST);
    }

    #[test]
    fn those_of_a_watch_and_of_all_are_bounded() {
        let budget = NameBudget::default();
        let mut all: Vec<Unnamed> = Vec::new();
        for _ in 0..OF_ALL / OF_WATCH {
            let mut unnamed = Unnamed::new(budget.clone());
            assert!((0..OF_WATCH as u32).all(|n| unnamed.add(outpoint(n), coin(), 9)));
            assert!(!unnamed.add(outpoint(OF_WATCH as u32), coin(), 9));
            all.push(unnamed);
        }
        let mut other = Unnamed::new(budget);
        assert!(!other.add(outpoint(0), coin(), 9));
        // A watch has ended.
        all.pop();
        assert!(other.add(outpoint(0), coin(), 9));
    }
}
