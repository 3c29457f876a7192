use std::sync::Arc;

use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use bytes::Bytes;
use proptest::prelude::*;
use sdk_relay_protocol::{Resume, Topic, Topics};
use sdk_relay_store::{Batch, BlockChange, LogEntry, Retention, Store};
use tokio::sync::watch;

use super::*;

const NOTIFICATIONS: Topic = Topic::Notifications;

struct Fixture {
    store: Arc<Store>,
    hub: Arc<Hub>,
    next: u64,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new(events: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let retention = Retention { events, bytes: 1 << 30 };
        let store = Arc::new(Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap());
        let hub = Arc::new(Hub::new(Arc::clone(&store)).unwrap());
        Self {
            store,
            hub,
            next: 1,
            _dir: dir,
        }
    }

    /// Commits and tells `n` events, every third one on the topic `tweaks`.
    fn tell(&mut self, n: u64) {
        let entries: Vec<LogEntry> = (self.next..self.next + n)
            .map(|id| LogEntry {
                id,
                topic: if id % 3 == 0 { Topic::Tweaks } else { NOTIFICATIONS },
                payload: Bytes::from(id.to_string()),
            })
            .collect();
        self.next += n;
        self.store
            .commit(&Batch {
                events: entries.clone(),
                ..Batch::default()
            })
            .unwrap();
        self.hub.publish(entries, None);
    }

    /// The chain goes on from another block, without those between.
    fn jump(&self, height: u32) {
        let change = BlockChange::Jump(height, BlockHash::from_byte_array([height as u8; 32]));
        self.store
            .commit(&Batch {
                block: Some(change),
                ..Batch::default()
            })
            .unwrap();
        self.hub.publish(Vec::new(), Some(change));
    }

    /// The hub of the same store after a restart.
    fn restart(&mut self) {
        self.hub = Arc::new(Hub::new(Arc::clone(&self.store)).unwrap());
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
async fn a_live_client_gets_what_is_new_on_its_topics() {
    let mut f = Fixture::new(1000);
    f.tell(5);
    let mut cursor = f.hub.live();
    f.tell(5);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [7, 8, 10]);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0u64; 0]);
}

#[tokio::test]
async fn resuming_reads_the_log_and_goes_over_into_live() {
    let mut f = Fixture::new(100_000);
    f.tell(200);
    f.restart();
    f.tell(10);
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Complete);
    let all = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
    assert_eq!(f.read(&mut cursor, all).await, (4..=210).collect::<Vec<_>>());
    f.tell(1);
    assert_eq!(f.read(&mut cursor, all).await, [211]);
}

#[tokio::test]
async fn what_is_gone_is_a_gap() {
    let mut f = Fixture::new(10);
    f.tell(50);
    f.restart();
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Gap);
    let all = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
    assert_eq!(f.read(&mut cursor, all).await, (41..=50).collect::<Vec<_>>());
    // An id that this log has never given is of another log.
    let (mut cursor, resume) = f.hub.resume(1000).unwrap();
    assert_eq!(resume, Resume::Gap);
    assert!(f.read(&mut cursor, all).await.is_empty());
}

/// Also for the client that was up to date, whose last event is the last before the hole: no event says that blocks are missing.
#[tokio::test]
async fn blocks_that_could_not_be_followed_are_a_gap_for_all_who_were_there_before() {
    let all = only(NOTIFICATIONS);
    let mut f = Fixture::new(100);
    f.jump(7);
    assert_eq!(
        f.hub.resume(0).unwrap().1,
        Resume::Complete,
        "the first block leaves nothing out"
    );
    f.tell(3);
    let (mut live, (mut catching_up, _)) = (f.hub.live(), f.hub.resume(1).unwrap());
    let mut head = f.hub.head();
    f.jump(90);
    assert!(head.has_changed().unwrap(), "whoever waits is woken");
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
    f.tell(1);
    let (mut cursor, resume) = f.hub.resume(3).unwrap();
    assert_eq!(resume, Resume::Gap, "and stays one");
    assert_eq!(f.read(&mut cursor, all).await, [4], "nothing behind it is left out");
    assert_eq!(f.hub.resume(4).unwrap().1, Resume::Complete);
}

#[tokio::test]
async fn a_live_client_that_falls_behind_is_called_slow() {
    let mut f = Fixture::new(100_000);
    let mut cursor = f.hub.live();
    f.tell(ring::RING_EVENTS as u64 + 1);
    assert!(matches!(
        f.hub.next(&mut cursor, only(NOTIFICATIONS)).await.unwrap(),
        Next::Lagged
    ));
    // One that catches up from the log may take its time.
    let (mut cursor, _) = f.hub.resume(0).unwrap();
    f.tell(10);
    assert_eq!(f.read(&mut cursor, only(Topic::Tweaks)).await.first(), Some(&3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Whatever the order of telling, reading and restarting: each event once, in order.
    #[test]
    fn each_event_once_and_in_order(steps in proptest::collection::vec((0u8..4, 1u64..80), 1..30), from in 0u64..50) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut f = Fixture::new(100_000);
            f.tell(50);
            f.restart();
            let all: Topics = [NOTIFICATIONS, Topic::Tweaks].into_iter().collect();
            let (mut cursor, _) = f.hub.resume(from).unwrap();
            let mut got = Vec::new();
            for (step, n) in steps {
                match step {
                    0 | 1 => f.tell(n),
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
async fn a_barrier_stops_a_cursor_and_makes_no_slow_client_of_it() {
    let mut f = Fixture::new(1 << 20);
    f.tell(3);
    let (barrier, seen) = watch::channel(u64::MAX);
    let mut cursor = f.hub.live().held_by(seen);
    f.tell(3);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [4, 5]);
    barrier.send_replace(7);
    f.tell(3);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [7]);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0; 0]);
    // More than the ring holds comes meanwhile.
    let many = 2 * ring::RING_EVENTS as u64;
    f.tell(many);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [0; 0]);
    barrier.send_replace(10);
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, [8, 10]);
    barrier.send_replace(u64::MAX);
    let rest: Vec<u64> = (11..=9 + many).filter(|id| id % 3 != 0).collect();
    assert_eq!(f.read(&mut cursor, only(NOTIFICATIONS)).await, rest);
}
