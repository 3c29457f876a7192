mod migrated;

use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use proptest::prelude::*;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_store::testing::MemoryLog;
use sdk_relay_store::testing::conformance::{about, append, change};
use sdk_relay_store::{BlockChange, EventKind, LogEntry, Retention};
use tokio::sync::watch;

use super::*;

const NOTIFICATIONS: Topic = Topic::Notifications;

struct Fixture {
    log: Arc<MemoryLog>,
    hub: Arc<Hub>,
    next: u64,
}

impl Fixture {
    fn new(events: u64) -> Self {
        let log = Arc::new(MemoryLog::new(Retention { events, bytes: 1 << 30 }));
        let hub = Arc::new(Hub::new(Arc::clone(&log)).unwrap());
        Self { log, hub, next: 1 }
    }

    /// Commits and publishes `n` events, every third one on the topic `tweaks`.
    fn publish(&mut self, n: u64) {
        let entries: Vec<LogEntry> = (self.next..self.next + n)
            .map(|id| LogEntry {
                id,
                topic: if id % 3 == 0 { Topic::Tweaks } else { NOTIFICATIONS },
                kind: EventKind::Unknown,
                height: None,
                block_hash: None,
                payload: Bytes::from(id.to_string()),
            })
            .collect();
        self.next += n;
        append(&*self.log, entries.clone());
        self.hub.publish(entries, None);
    }

    /// The chain continues from another block, without those in between.
    fn jump(&self, height: u32) {
        let jump = BlockChange::Jump(height, BlockHash::from_byte_array([height as u8; 32]));
        change(&*self.log, jump);
        self.hub.publish(Vec::new(), Some(jump));
    }

    /// The hub of the same log after a restart.
    fn restart(&mut self) {
        self.hub = Arc::new(Hub::new(Arc::clone(&self.log)).unwrap());
    }

    async fn read(&self, cursor: &mut Cursor, topics: Topics) -> Vec<u64> {
        let mut ids = Vec::new();
        loop {
            match self.hub.next(cursor, topics).await.unwrap() {
                Next::Frames(frames) => {
                    ids.extend(
                        frames
                            .iter()
                            .map(|f| std::str::from_utf8(&f.text()).unwrap().parse::<u64>().unwrap()),
                    );
                }
                Next::UpToDate => return ids,
                Next::Lagged | Next::Hole => panic!("cut off at {cursor:?}"),
            }
        }
    }
}

fn only(topic: Topic) -> Topics {
    [topic].into_iter().collect()
}

#[tokio::test]
async fn a_live_client_receives_new_events_of_its_topics() {
    let mut f = Fixture::new(1000);
    f.publish(5);
    let mut cursor = f.hub.live();
    f.publish(5);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [7, 8, 10]);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0u64; 0]);
}

#[tokio::test]
async fn resuming_reads_the_log_and_continues_live() {
    let mut f = Fixture::new(100_000);
    f.publish(200);
    f.restart();
    f.publish(10);
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Complete);
    let all = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
    assert_eq!(f.read(&mut cursor, all).await, (4..=210).collect::<Vec<_>>());
    f.publish(1);
    assert_eq!(f.read(&mut cursor, all).await, [211]);
}

#[tokio::test]
async fn removed_events_are_a_gap() {
    let mut f = Fixture::new(10);
    f.publish(50);
    f.restart();
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Gap);
    let all = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
    assert_eq!(f.read(&mut cursor, all).await, (41..=50).collect::<Vec<_>>());
    // An id that this log has never assigned is of another log.
    let (mut cursor, resume) = f.hub.resume(1000).unwrap();
    assert_eq!(resume, Resume::Gap);
    assert!(f.read(&mut cursor, all).await.is_empty());
}

/// Including an up-to-date client, whose last event is the last before the hole: no event reports the missing blocks.
#[tokio::test]
async fn skipped_blocks_are_a_gap_for_all_earlier_clients() {
    let all = only(NOTIFICATIONS);
    let mut f = Fixture::new(100);
    f.jump(7);
    assert_eq!(
        f.hub.resume(0).unwrap().1,
        Resume::Complete,
        "the first block skips no other"
    );
    f.publish(3);
    let (mut live, (mut catching_up, _)) = (f.hub.live(), f.hub.resume(1).unwrap());
    let mut head = f.hub.head();
    f.jump(90);
    assert!(head.has_changed().unwrap(), "waiting clients are notified");
    head.mark_unchanged();
    for cursor in [&mut live, &mut catching_up] {
        assert!(matches!(f.hub.next(cursor, all).await.unwrap(), Next::Hole));
    }
    let mut no_topics = f.hub.live();
    f.jump(190);
    assert!(matches!(
        f.hub.next(&mut no_topics, Topics::default()).await.unwrap(),
        Next::UpToDate
    ));
    for restarted in [false, true] {
        if restarted {
            f.restart();
        }
        let (mut cursor, resume) = f.hub.resume(3).unwrap();
        assert_eq!(resume, Resume::Gap);
        assert!(f.read(&mut cursor, all).await.is_empty());
    }
    f.publish(1);
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Gap, "and stays one");
    assert_eq!(f.read(&mut cursor, all).await, [4], "no later event is left out");
    assert_eq!(f.hub.resume(4).unwrap().1, Resume::Complete);
}

/// By the columns of the event: other events contain the hash in their text too.
#[tokio::test]
async fn a_client_of_another_relay_resumes_behind_the_newest_event_that_its_block_was_mined() {
    let mut f = Fixture::new(100_000);
    let block = |n: u8| BlockHash::from_byte_array([n; 32]);
    let mut mine = |height: u32| {
        let hash = block(height as u8);
        let kinds = [
            EventKind::PaymentDetected,
            EventKind::BlockMined,
            EventKind::PaymentDetected,
            EventKind::Tweaks,
        ];
        let entries: Vec<_> = (f.next..)
            .zip(kinds)
            .map(|(id, kind)| about(id, kind, height, hash))
            .collect();
        f.next += 4;
        append(&*f.log, entries.clone());
        f.hub.publish(entries, Some(BlockChange::Connect(height, hash)));
    };
    (1..=3).for_each(&mut mine);
    let resumed = |f: &Fixture, blocks: &[BlockHash]| {
        let (cursor, resume) = f.hub.resume_after(blocks).unwrap();
        (cursor.after(), resume)
    };
    assert_eq!(resumed(&f, &[block(9), block(2), block(1)]), (6, Resume::Complete));
    assert_eq!(resumed(&f, &[block(9)]), (12, Resume::Gap));
    let disconnected = about(13, EventKind::BlockDisconnected, 3, block(3));
    append(&*f.log, [disconnected.clone()]);
    let change = BlockChange::Disconnect {
        height: 3,
        parent: block(2),
    };
    f.hub.publish(vec![disconnected], Some(change));
    assert_eq!(
        resumed(&f, &[block(3)]),
        (13, Resume::Gap),
        "it is no longer in the chain"
    );
    assert_eq!(resumed(&f, &[block(3), block(2)]), (6, Resume::Complete));
    f.next = 14;
    f.publish(cursor::LOOK_BACK as u64);
    assert_eq!(resumed(&f, &[block(2)]).1, Resume::Gap, "too far back");
}

#[tokio::test]
async fn frames_have_the_number_of_their_event() {
    let mut f = Fixture::new(100);
    f.publish(4);
    f.restart();
    f.publish(4);
    let (mut cursor, _) = f.hub.resume(0).unwrap();
    let mut ids = Vec::new();
    while let Next::Frames(frames) = f.hub.next(&mut cursor, only(NOTIFICATIONS)).await.unwrap() {
        ids.extend(frames.iter().map(Frame::event_id));
    }
    assert_eq!(ids, [1, 2, 4, 5, 7, 8].map(Some), "from the store and from memory");
}

#[tokio::test]
async fn a_live_client_that_falls_behind_is_slow() {
    let mut f = Fixture::new(100_000);
    let mut cursor = f.hub.live();
    f.publish(ring::RING_EVENTS as u64 + 1);
    assert!(matches!(
        f.hub.next(&mut cursor, only(NOTIFICATIONS)).await.unwrap(),
        Next::Lagged
    ));
    // A client that catches up from the log may be slow.
    let (mut cursor, _) = f.hub.resume(0).unwrap();
    f.publish(10);
    assert_eq!(f.read(&mut cursor, only(Topic::Tweaks)).await.first(), Some(&3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// In any order of publishing, reading and restarting: each event once, in order.
    #[test]
    fn each_event_once_and_in_order(steps in proptest::collection::vec((0u8..4, 1u64..80), 1..30), from in 0u64..50) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut f = Fixture::new(100_000);
            f.publish(50);
            f.restart();
            let all: Topics = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
            let (mut cursor, _) = f.hub.resume(from).unwrap();
            let mut got = Vec::new();
            for (step, n) in steps {
                match step {
                    0 | 1 => f.publish(n),
                    2 => got.extend(f.read(&mut cursor, all).await),
                    _ => {
                        f.restart();
                        let last = got.last().copied().unwrap_or(from);
                        cursor = f.hub.resume(last).unwrap().0;
                    }
                }
            }
            got.extend(f.read(&mut cursor, all).await);
            assert_eq!(got, (from + 1..f.next).collect::<Vec<_>>());
        });
    }
}

#[tokio::test]
async fn a_barrier_stops_a_cursor_without_making_it_slow() {
    let mut f = Fixture::new(1 << 20);
    f.publish(3);
    let (barrier, seen) = watch::channel(u64::MAX);
    let mut cursor = f.hub.live().held_by(seen);
    f.publish(3);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [4, 5]);
    barrier.send_replace(7);
    f.publish(3);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [7]);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0; 0]);
    // More events than the ring holds are published meanwhile.
    let many = 2 * ring::RING_EVENTS as u64;
    f.publish(many);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0; 0]);
    barrier.send_replace(10);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [8, 10]);
    barrier.send_replace(u64::MAX);
    let rest: Vec<u64> = (11..=9 + many).filter(|id| id % 3 != 0).collect();
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, rest);
}
