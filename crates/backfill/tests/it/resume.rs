//! Both ends over connections that break: every block of the final chain that the subscriber asked for has been
//! received, whatever is lost between them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sdk_relay_backfill::{Backfill, Heights, Limits, Live, NextRange, ResumePoint};

const LIMITS: Limits = Limits {
    held: 5,
    stalled: Duration::from_secs(30),
};
/// Blocks that are requested again where disconnected blocks may not have been notified.
const UNSEEN: u32 = 20;

#[derive(Clone, Debug)]
enum Op {
    Connect,
    Disconnect(u32),
    /// The sender registers what the subscriber has requested.
    Register,
    /// The sender scans so many blocks.
    Scan(u32),
    /// The subscriber receives so many messages about its watch.
    Receive(usize),
    /// The subscriber receives the next event, after all messages about its watch.
    Event,
    /// The connection breaks, and the next one continues in the log; or the log has a gap.
    Break {
        gap: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Message {
    Paid { height: u32, id: u64 },
    Progress { registration: u32, share: f64, height: u32 },
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Connected { height: u32 },
    Disconnected { height: u32, id: u64 },
}

struct World {
    // The sender.
    chain: Vec<u64>,
    last_id: u64,
    log: Vec<Event>,
    backfill: Option<Backfill<Message>>,
    is_registered: bool,
    registration: u32,
    wire: VecDeque<Message>,
    /// A request that the sender has not taken yet.
    request: Option<Option<Heights>>,
    // The subscriber.
    resume: ResumePoint,
    /// Whether it has its answer, and may ask for another registration.
    is_answered: bool,
    wanted: u32,
    last_block: Option<u32>,
    next_event: usize,
    received: BTreeMap<u64, u32>,
    deliveries: BTreeMap<u64, usize>,
    // The model.
    expected_live: HashSet<u64>,
    requested: Option<Heights>,
}

impl World {
    /// `knows_tip`: the subscriber was notified of a block before.
    fn new(blocks: u32, requested: Option<Heights>, knows_tip: bool) -> Self {
        let last_block = knows_tip.then_some(blocks - 1);
        let mut world = Self {
            chain: (0..u64::from(blocks)).collect(),
            last_id: u64::from(blocks),
            log: Vec::new(),
            backfill: None,
            is_registered: false,
            registration: 0,
            wire: VecDeque::new(),
            request: Some(requested),
            resume: ResumePoint::new(requested, last_block),
            is_answered: false,
            wanted: 0,
            last_block,
            next_event: 0,
            received: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            expected_live: HashSet::new(),
            requested,
        };
        world.ask(requested);
        world.register();
        world
    }

    fn tip(&self) -> u32 {
        self.chain.len() as u32 - 1
    }

    fn ask(&mut self, heights: Option<Heights>) {
        self.wanted += 1;
        self.is_answered = false;
        self.request = Some(heights);
    }

    fn register(&mut self) {
        let Some(request) = self.request.take() else { return };
        self.registration = self.wanted;
        self.is_registered = true;
        self.is_answered = true;
        self.backfill = request.map(|heights| {
            assert!(
                heights.to.is_none_or(|to| to >= heights.from),
                "the sender refuses {heights:?}"
            );
            let mut backfill = Backfill::new(heights, LIMITS);
            backfill.settle(self.chain.len() as u32 - 1, Live::AfterHistory, Instant::now());
            backfill
        });
        self.report();
        self.rescan();
    }

    /// Progress, and at the end what waited with it.
    fn report(&mut self) {
        let tip = self.tip();
        let Some(backfill) = &mut self.backfill else { return };
        if let Some(progress) = backfill.progress(tip) {
            self.wire.push_back(Message::Progress {
                registration: self.registration,
                share: progress.share,
                height: progress.height,
            });
        }
        if backfill.is_over() {
            self.wire.extend(backfill.release());
            self.backfill = None;
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Connect => {
                self.last_id += 1;
                let id = self.last_id;
                self.chain.push(id);
                self.expected_live.insert(id);
                let height = self.tip();
                let message = Message::Paid { height, id };
                match &mut self.backfill {
                    _ if !self.is_registered => {}
                    Some(backfill) => self.wire.extend(backfill.live(message, true)),
                    None => self.wire.push_back(message),
                }
                self.log.push(Event::Connected { height });
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
                    self.report();
                    self.log.push(Event::Disconnected { height, id });
                }
            }
            Op::Register => self.register(),
            Op::Scan(count) => {
                let Some(backfill) = &mut self.backfill else { return };
                let NextRange::Scan { from, to } = backfill.next() else {
                    panic!("registered at a tip, and not over")
                };
                let to = to.min(from + count - 1);
                assert_eq!(backfill.scanned(from, to, Instant::now()), Some(to));
                let blocks = (from..=to).zip(&self.chain[from as usize..]);
                self.wire
                    .extend(blocks.map(|(height, id)| Message::Paid { height, id: *id }));
                self.report();
            }
            Op::Receive(count) => self.receive(count),
            Op::Event => self.event(),
            Op::Break { gap } => {
                // Without a block, it cannot know how many are in the gap.
                let gap = gap && self.last_block.is_some();
                (self.backfill, self.is_registered) = (None, false);
                self.wire.clear();
                if gap {
                    self.next_event = self.log.len();
                }
                let heights = self.resume.reconnected(self.last_block, if gap { UNSEEN } else { 0 });
                self.ask(heights);
            }
        }
    }

    fn receive(&mut self, count: usize) {
        for _ in 0..count {
            match self.wire.pop_front() {
                None => break,
                Some(Message::Paid { height, id }) => {
                    self.received.insert(id, height);
                    *self.deliveries.entry(id).or_default() += 1;
                }
                Some(Message::Progress {
                    registration,
                    share,
                    height,
                }) => {
                    // The client knows no registration that it has not the answer of, nor one that it has ended.
                    if registration != self.wanted || !self.is_answered {
                        continue;
                    }
                    if share >= 1.0 {
                        self.resume.completed(height);
                        self.rescan();
                    } else if share > 0.0 {
                        self.resume.progressed(height);
                    }
                }
            }
        }
    }

    fn event(&mut self) {
        let Some(event) = self.log.get(self.next_event).copied() else {
            return;
        };
        self.receive(usize::MAX);
        self.next_event += 1;
        match event {
            Event::Connected { height } => {
                self.resume.connected(height);
                self.last_block = Some(height);
                self.rescan();
            }
            Event::Disconnected { height, id } => {
                self.resume.disconnected(height);
                self.last_block = height.checked_sub(1);
                // The subscriber reverts what the block paid.
                self.received.remove(&id);
            }
        }
    }

    fn rescan(&mut self) {
        if self.is_answered
            && let Some(heights) = self.resume.take_rescan()
        {
            self.ask(Some(heights));
        }
    }

    fn complete(&mut self) {
        for _ in 0..10_000 {
            self.apply(Op::Register);
            if self.backfill.is_some() {
                self.apply(Op::Scan(4));
            } else if self.next_event < self.log.len() {
                self.apply(Op::Event);
            } else if self.request.is_none() && self.wire.is_empty() {
                return;
            } else {
                self.receive(usize::MAX);
            }
        }
        panic!("it does not end");
    }

    fn check(&self) {
        for (height, id) in (0..).zip(&self.chain) {
            let is_history = self
                .requested
                .is_some_and(|Heights { from, to }| height >= from && to.is_none_or(|to| height <= to));
            let is_live = self.expected_live.contains(id) && self.requested.is_none_or(|h| height >= h.from);
            if is_history || is_live {
                assert!(self.received.contains_key(id), "block {id} at {height}");
            }
        }
        if self.registration == 1 {
            assert!(
                self.deliveries.values().all(|times| *times == 1),
                "{:?}",
                self.deliveries
            );
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Connect),
        2 => (1..4u32).prop_map(Op::Disconnect),
        3 => Just(Op::Register),
        4 => (1..4u32).prop_map(Op::Scan),
        4 => (1..4usize).prop_map(Op::Receive),
        6 => Just(Op::Event),
        2 => prop::bool::weighted(0.2).prop_map(|gap| Op::Break { gap }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn no_block_is_lost_over_connections(
        blocks in 1..12u32,
        from in 0..14u32,
        to in prop::option::of(0..6u32),
        with_history in prop::bool::weighted(0.7),
        knows_tip in prop::bool::weighted(0.7),
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let requested = with_history.then_some(Heights { from, to: to.map(|more| from + more) });
        let mut world = World::new(blocks, requested, knows_tip);
        for op in ops {
            world.apply(op);
        }
        world.complete();
        world.check();
    }
}

/// The registration has not scanned the blocks that replace others.
#[test]
fn progress_does_not_count_while_another_registration_is_due() {
    let from = |from| Some(Heights { from, to: None });
    let mut point = ResumePoint::new(None, Some(100));
    assert_eq!(point.reconnected(Some(100), 0), from(101));
    point.disconnected(99);
    point.progressed(105);
    assert_eq!(point.take_rescan(), None, "the blocks that replace them have not begun");
    assert_eq!(point.reconnected(Some(98), 0), from(99));

    point.disconnected(97);
    point.completed(105);
    point.connected(97);
    assert_eq!(point.take_rescan(), from(97));
    assert_eq!(point.take_rescan(), None);
    assert_eq!(point.reconnected(Some(97), 0), from(97));
}

/// A subscriber whose connection breaks before the first block: what connects meanwhile is neither history nor live.
#[test]
fn without_a_block_before_a_reconnect_the_next_one_is_requested() {
    let from = |from| Some(Heights { from, to: None });
    let mut point = ResumePoint::new(None, None);
    point.connected(100);
    assert_eq!(point.take_rescan(), None, "it saw it on its connection");
    let mut point = ResumePoint::new(None, None);
    assert_eq!(point.reconnected(None, 0), None);
    point.connected(101);
    assert_eq!(point.take_rescan(), from(101));
    point.connected(102);
    assert_eq!(point.take_rescan(), None, "once");
    // After a gap, what may have been replaced unseen too.
    let mut point = ResumePoint::new(None, None);
    assert_eq!(point.reconnected(None, UNSEEN), None);
    point.connected(101);
    assert_eq!(point.take_rescan(), from(101 - UNSEEN));
    // After a history that ends below.
    let mut point = ResumePoint::new(Some(Heights { from: 50, to: Some(60) }), None);
    assert_eq!(point.reconnected(None, 0), Some(Heights { from: 50, to: Some(60) }));
    point.connected(101);
    assert_eq!(point.take_rescan(), None);
    point.completed(60);
    assert_eq!(point.take_rescan(), from(101));
}

/// A subscriber that has asked for blocks above the tip, or whose sender was behind.
#[test]
fn no_block_below_the_first_requested_one_is_requested() {
    let from = |from| Some(Heights { from, to: None });
    for unseen in [0, UNSEEN] {
        let mut point = ResumePoint::new(from(200), Some(100));
        point.completed(150);
        assert_eq!(point.reconnected(Some(150), unseen), from(200), "{unseen}");
        // Before a block was notified.
        let part = Heights {
            from: 200,
            to: Some(210),
        };
        let mut point = ResumePoint::new(Some(part), None);
        assert_eq!(point.reconnected(None, unseen), Some(part), "{unseen}");
        point.connected(101);
        point.completed(210);
        assert_eq!(point.take_rescan(), from(200), "{unseen}");
    }
}
