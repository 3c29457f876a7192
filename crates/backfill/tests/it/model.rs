//! Random interleavings of blocks, reorganisations, scans and live items, against a plain model: every requested block
//! of the final chain is delivered by the history, or live, or is named as missing, exactly one of them and exactly
//! once; live items are delivered once and in order.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sdk_relay_backfill::{Backfill, Heights, Limits, Live, NextRange, Progress};
use sdk_relay_protocol::{MissingBlocks, MissingReason};

const LIMITS: Limits = Limits {
    held: 6,
    stalled: Duration::from_secs(30),
};

#[derive(Clone, Debug)]
enum Op {
    /// A block connects.
    Connect,
    /// Blocks disconnect, so many.
    Disconnect(u32),
    /// The index follows the chain.
    Follow,
    /// The block so far above the beginning of the request cannot be read.
    Lose(u32),
    /// Detection knows its first block.
    Settle,
    /// A scan reads so many blocks of the index.
    Read(u32),
    /// Its result arrives.
    Apply,
    /// An item that belongs to no block, and whether the caller has capacity for it.
    Item(bool),
    /// Seconds pass.
    Wait(u64),
}

/// A live item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Connected(u64),
    Disconnected(u64),
    Other(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    History(u32, u64),
    Live(Item),
}

struct World {
    requested: Heights,
    live: Live,
    backfill: Option<Backfill<Item>>,
    is_settled: bool,
    /// The first item after that.
    settled_from: Option<u64>,
    chain: Vec<u64>,
    index: Vec<u64>,
    lost: BTreeSet<u32>,
    /// A scan in progress: its first height, and its blocks.
    read: Option<(u32, Vec<u64>)>,
    last_id: u64,
    now: Instant,
    // The model.
    emitted: Vec<Item>,
    connected_live: HashSet<u64>,
    waiting: usize,
    last_progress: Instant,
    /// Something was allowed to overtake the history.
    is_early: bool,
    sent: Vec<Sent>,
    reports: Vec<Progress>,
    /// The blocks that the last report named as missing: the chain may change afterwards.
    missing: HashSet<u64>,
}

impl World {
    fn new(blocks: u32, requested: Heights, live: Live) -> Self {
        let now = Instant::now();
        let chain: Vec<u64> = (0..u64::from(blocks)).collect();
        Self {
            requested,
            live,
            backfill: Some(Backfill::new(requested, LIMITS)),
            is_settled: false,
            settled_from: None,
            index: chain.clone(),
            last_id: u64::from(blocks),
            chain,
            lost: BTreeSet::new(),
            read: None,
            now,
            emitted: Vec::new(),
            connected_live: HashSet::new(),
            waiting: 0,
            last_progress: now,
            is_early: live == Live::AtOnce,
            sent: Vec::new(),
            reports: Vec::new(),
            missing: HashSet::new(),
        }
    }

    fn tip(&self) -> u32 {
        self.chain.len() as u32 - 1
    }

    fn emit(&mut self, item: Item, may_wait: bool) {
        self.emitted.push(item);
        let Some(backfill) = &mut self.backfill else {
            return self.sent.push(Sent::Live(item));
        };
        let items = backfill.live(item, may_wait);
        if self.is_settled && !self.is_early {
            if may_wait && self.waiting < LIMITS.held {
                assert_eq!(items, [], "it waits");
                self.waiting += 1;
            } else {
                assert_eq!(items.len(), self.waiting + 1, "all that waited");
                self.is_early = true;
            }
        } else {
            assert_eq!(items, [item], "nothing waits");
        }
        self.sent.extend(items.into_iter().map(Sent::Live));
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Connect => {
                let id = self.next_id();
                self.chain.push(id);
                if self.is_settled {
                    self.connected_live.insert(id);
                    self.emit(Item::Connected(id), true);
                }
            }
            Op::Disconnect(count) => {
                for _ in 0..count {
                    if self.chain.len() < 2 {
                        break;
                    }
                    let height = self.tip();
                    let id = self.chain.pop().unwrap();
                    if let Some(backfill) = &mut self.backfill {
                        backfill.disconnected(height);
                    }
                    if self.is_settled {
                        self.emit(Item::Disconnected(id), true);
                    }
                    self.finish();
                }
            }
            Op::Follow => self.index = self.chain.clone(),
            Op::Lose(offset) => drop(self.lost.insert(self.requested.from.saturating_add(offset))),
            Op::Settle => {
                let tip = self.tip();
                if let Some(backfill) = &mut self.backfill {
                    assert_eq!(backfill.settle(tip, self.live, self.now), !self.is_settled);
                    if !std::mem::replace(&mut self.is_settled, true) {
                        self.last_progress = self.now;
                        self.settled_from = Some(self.last_id + 1);
                    }
                }
            }
            Op::Read(count) => self.read(count),
            Op::Apply => self.apply_read(),
            Op::Item(may_wait) => {
                let id = self.next_id();
                self.emit(Item::Other(id), may_wait);
            }
            Op::Wait(seconds) => {
                self.now += Duration::from_secs(seconds);
                if let Some(backfill) = &mut self.backfill {
                    let items = backfill.release_stalled(self.now);
                    if self.is_settled && !self.is_early && self.now - self.last_progress >= LIMITS.stalled {
                        assert_eq!(items.len(), self.waiting);
                        self.is_early = true;
                    } else {
                        assert_eq!(items, []);
                    }
                    self.sent.extend(items.into_iter().map(Sent::Live));
                }
            }
        }
        self.finish();
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn read(&mut self, count: u32) {
        let Some(backfill) = self.backfill.as_mut().filter(|_| self.read.is_none()) else {
            return;
        };
        let NextRange::Scan { from, to } = backfill.next() else {
            return;
        };
        let lost = (from..=to).take_while(|height| self.lost.contains(height)).count() as u32;
        if lost > 0 {
            let missing = MissingBlocks {
                from,
                to: from + lost - 1,
                reason: MissingReason::Damaged,
            };
            assert_eq!(backfill.skip(missing, self.now), Some(missing));
            self.last_progress = self.now;
            return;
        }
        let last = to.min(from.saturating_add(count - 1));
        let heights = (from..=last).take_while(|height| !self.lost.contains(height));
        let blocks: Vec<u64> = heights
            .map_while(|height| self.index.get(height as usize).copied())
            .collect();
        if !blocks.is_empty() {
            self.read = Some((from, blocks));
        }
    }

    fn apply_read(&mut self) {
        let Some((from, blocks)) = self.read.take() else { return };
        let Some(backfill) = &mut self.backfill else { return };
        let through = from + blocks.len() as u32 - 1;
        if self.chain.get(through as usize) != blocks.last() {
            return;
        }
        let Some(last) = backfill.scanned(from, through, self.now) else {
            return;
        };
        self.last_progress = self.now;
        let sent = (from..=last).zip(blocks);
        self.sent.extend(sent.map(|(height, id)| Sent::History(height, id)));
    }

    /// Reports progress, and sends what waited at the end.
    fn finish(&mut self) {
        let tip = self.tip();
        let Some(backfill) = &mut self.backfill else { return };
        if let Some(report) = backfill.progress(tip) {
            let ranges = report.missing.iter();
            let heights = ranges.flat_map(|range| range.from..=range.to);
            self.missing = heights.map(|height| self.chain[height as usize]).collect();
            self.reports.push(report);
        }
        if backfill.is_over() {
            self.sent.extend(backfill.release().into_iter().map(Sent::Live));
            self.backfill = None;
        }
    }

    fn complete(&mut self) {
        self.apply(Op::Settle);
        self.apply(Op::Follow);
        let mut steps = 0;
        while self.backfill.is_some() {
            self.apply(Op::Read(3));
            self.apply(Op::Apply);
            steps += 1;
            assert!(steps <= 3 * self.chain.len() + 3, "it ends");
        }
    }

    fn check(&self) {
        let live: Vec<Item> = self.sent.iter().filter_map(live_of).collect();
        assert_eq!(live, self.emitted, "each live item once, in order");

        let history: Vec<(u32, u64)> = self.sent.iter().filter_map(history_of).collect();
        assert!(
            history.is_sorted_by(|a, b| a.0 < b.0),
            "in the order of the chain: {history:?}"
        );
        let by_history: HashSet<u64> = history.iter().map(|(_, id)| *id).collect();
        assert!(
            self.connected_live.iter().all(|id| !by_history.contains(id)),
            "by one way only"
        );
        if !self.is_early {
            let first_live = self.sent.iter().position(|sent| {
                // What arrived before registration is sent at once.
                live_of(sent).is_some_and(|item| self.arrived_settled(item))
            });
            let last_history = self.sent.iter().rposition(|sent| history_of(sent).is_some());
            if let (Some(first), Some(last)) = (first_live, last_history) {
                assert!(last < first, "the history comes first");
            }
        }

        for (height, id) in (0..).zip(&self.chain) {
            let is_requested = height >= self.requested.from && self.requested.to.is_none_or(|to| height <= to);
            let (by_history, is_missing) = (by_history.contains(id), self.missing.contains(id));
            if self.connected_live.contains(id) {
                assert!(!by_history && !is_missing, "live only: {height}");
            } else if is_requested {
                assert!(by_history != is_missing, "history or missing: {height}");
            } else {
                assert!(!by_history && !is_missing, "was not requested: {height}");
            }
        }

        let shares: Vec<f64> = self.reports.iter().map(|report| report.share).collect();
        assert!(shares.is_sorted(), "{shares:?}");
        assert_eq!(shares.last(), Some(&1.0));
        assert_eq!(shares.iter().filter(|share| **share >= 1.0).count(), 1, "{shares:?}");
    }

    fn arrived_settled(&self, item: Item) -> bool {
        match item {
            Item::Connected(_) | Item::Disconnected(_) => true,
            Item::Other(id) => self.settled_from.is_some_and(|first| id >= first),
        }
    }
}

fn live_of(sent: &Sent) -> Option<Item> {
    match sent {
        Sent::Live(item) => Some(*item),
        Sent::History(..) => None,
    }
}

fn history_of(sent: &Sent) -> Option<(u32, u64)> {
    match sent {
        Sent::History(height, id) => Some((*height, *id)),
        Sent::Live(_) => None,
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Connect),
        3 => (1..5u32).prop_map(Op::Disconnect),
        3 => Just(Op::Follow),
        1 => (0..8u32).prop_map(Op::Lose),
        2 => Just(Op::Settle),
        6 => (1..5u32).prop_map(Op::Read),
        6 => Just(Op::Apply),
        2 => prop::bool::weighted(0.9).prop_map(Op::Item),
        1 => (1..20u64).prop_map(Op::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn each_block_is_delivered_exactly_once_by_the_history_or_live(
        blocks in 1..14u32,
        from in 0..16u32,
        to in prop::option::of(0..16u32),
        at_once in prop::bool::weighted(0.2),
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let live = if at_once { Live::AtOnce } else { Live::AfterHistory };
        let mut world = World::new(blocks, Heights { from, to }, live);
        for op in ops {
            world.apply(op);
        }
        world.complete();
        world.check();
    }
}
