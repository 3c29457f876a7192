//! The task, with an index of ten blocks and a detection that the test plays. Work on threads runs as tasks, and the
//! clock is paused: it moves while everything waits.

use std::time::Instant;

use sdk_relay_bip352::Fast;
use sdk_relay_index::{IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_platform::simulation;
use sdk_relay_store::TweakIndex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::commands::Command;
use crate::history_scan::{NextScan, ScannedRange};
use crate::mailbox::tests::of_bytes;
use crate::mailbox::{Mailbox, MailboxReceiver};

/// Far longer than all polls of a test together.
const DEADLINE: Duration = Duration::from_secs(60);
/// The last block of the index.
const TIP: u32 = 9;

struct Fixture {
    orders: Arc<ScanQueue>,
    detection: Detection,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<IndexStatus>,
    store: Arc<TweakIndex>,
    running: JoinHandle<()>,
    _dir: tempfile::TempDir,
    _simulation: simulation::Guard,
}

fn hash(height: u32) -> BlockHash {
    BlockHash::hash(&height.to_le_bytes())
}

fn blocks(heights: std::ops::RangeInclusive<u32>) -> Vec<IndexedBlock> {
    let block = |height| IndexedBlock {
        height,
        hash: hash(height),
        time: 0,
        transactions: Vec::new(),
        spent: Vec::new(),
    };
    heights.map(block).collect()
}

fn tip(height: u32) -> Option<BlockRef> {
    let hash = hash(height);
    Some(BlockRef { height, hash })
}

impl Fixture {
    fn start() -> Self {
        let _simulation = simulation::enter(1, 1_700_000_000);
        let _dir = tempfile::tempdir().unwrap();
        let store = Arc::new(TweakIndex::open(&_dir.path().join("index"), "regtest", 0).unwrap());
        store.append(BlockHash::all_zeros(), &blocks(0..=TIP)).unwrap();
        let status = watch::Sender::new(IndexStatus {
            state: IndexState::Current,
            since: Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: tip(TIP),
            target: None,
            node_is_syncing: false,
        });
        let scanner = Scanner::new(Arc::new(Fast::new()), |_, error| assert_eq!(error, None));
        let (detection, commands) = Detection::channel(scanner.clone());
        let (orders, spends) = (Arc::new(ScanQueue::default()), Arc::new(SpendQueue::default()));
        let task = HistoryScanner {
            index: Index {
                store: Arc::clone(&store),
                status: status.subscribe(),
                figures: watch::channel(IndexFigures::default()).1,
                pool: Arc::new(Pool::new(1).unwrap()),
            },
            scanner,
            orders: Arc::clone(&orders),
            spends: Arc::clone(&spends),
            detection: detection.clone(),
            chain: None,
            reading_fails: false,
        };
        Self {
            orders,
            detection,
            commands,
            status,
            store,
            running: tokio::spawn(task.run()),
            _dir,
            _simulation,
        }
    }

    fn client(&self, address: u8) -> (Mailbox, MailboxReceiver) {
        self.detection.mailbox([192, 0, 2, address].into())
    }

    fn order(&self, watch_id: &str, mailbox: &Mailbox, next: u32, until: u32) {
        self.orders.add(scan(watch_id, mailbox, next, until));
    }

    /// The next results, which detection answers with `next`.
    async fn scanned(&mut self, next: impl Fn(&ScannedRange) -> NextScan) -> Vec<(String, u32, u32)> {
        let command = timeout(DEADLINE, self.commands.recv()).await.expect("results in time");
        let Some(Command::Scanned(ranges, reply)) = command else {
            panic!("another command")
        };
        reply.send(ranges.iter().map(next).collect()).expect("the task waits");
        let ranges = ranges.into_iter();
        ranges.map(|r| (r.watch_id, r.from, r.through.height)).collect()
    }

    /// It waits: there are no results, however long.
    async fn assert_waits(&mut self) {
        assert!(
            timeout(DEADLINE, self.commands.recv()).await.is_err(),
            "it did not wait"
        );
        assert!(!self.running.is_finished());
    }

    async fn assert_ends(self) {
        timeout(DEADLINE, self.running)
            .await
            .expect("an end in time")
            .expect("no panic");
    }
}

fn scan(watch_id: &str, mailbox: &Mailbox, next: u32, until: u32) -> Scan {
    Scan {
        watch_id: watch_id.to_owned(),
        receiver: receiver(1),
        mailbox: mailbox.clone(),
        next,
        until,
        served: 0,
    }
}

fn done(_: &ScannedRange) -> NextScan {
    NextScan::Done
}

fn one(watch_id: &str, from: u32, through: u32) -> Vec<(String, u32, u32)> {
    vec![(watch_id.to_owned(), from, through)]
}

#[tokio::test(start_paused = true)]
async fn a_scan_continues_where_detection_says_until_it_is_done() {
    let mut fixture = Fixture::start();
    let (mailbox, _kept) = fixture.client(1);
    fixture.order("a", &mailbox, 2, 4);
    let until = TIP;
    let go = |_: &ScannedRange| NextScan::Go { next: 5, until };
    assert_eq!(fixture.scanned(go).await, one("a", 2, 4));
    // A reorganisation: the same blocks again.
    let stale = |_: &ScannedRange| NextScan::Stale { next: 3, until };
    assert_eq!(fixture.scanned(stale).await, one("a", 5, TIP));
    assert_eq!(fixture.scanned(done).await, one("a", 3, TIP));
    fixture.assert_waits().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_detection_while_idle_and_while_a_scan_waits() {
    for waits in [false, true] {
        let fixture = Fixture::start();
        let (mailbox, _kept) = fixture.client(1);
        if waits {
            // A block that the index does not reach.
            fixture.order("a", &mailbox, TIP + 1, TIP + 1);
        }
        tokio::task::yield_now().await;
        fixture.orders.close();
        fixture.assert_ends().await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_detection_answers_no_more() {
    let Fixture {
        orders,
        mut commands,
        running,
        detection,
        _dir,
        _simulation,
        ..
    } = Fixture::start();
    let (mailbox, _kept) = detection.mailbox([192, 0, 2, 1].into());
    orders.add(Scan {
        watch_id: "a".to_owned(),
        receiver: receiver(1),
        mailbox,
        next: 0,
        until: TIP,
        served: 0,
    });
    let command = timeout(DEADLINE, commands.recv()).await.expect("results in time");
    // Detection ends between the results and its answer.
    orders.close();
    drop((command, commands));
    timeout(DEADLINE, running)
        .await
        .expect("an end in time")
        .expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_block_above_the_index_is_waited_for_and_delays_no_other_scan() {
    let mut fixture = Fixture::start();
    let ((ahead, _kept), (other, _also_kept)) = (fixture.client(1), fixture.client(2));
    fixture.order("ahead", &ahead, TIP + 1, TIP + 2);
    fixture.assert_waits().await;
    fixture.order("other", &other, 0, 1);
    assert_eq!(fixture.scanned(done).await, one("other", 0, 1));
    let new = blocks(TIP + 1..=TIP + 2);
    fixture.store.append(hash(TIP), &new).unwrap();
    fixture.assert_waits().await;
    fixture.status.send_modify(|status| status.tip = tip(TIP + 2));
    assert_eq!(fixture.scanned(done).await, one("ahead", TIP + 1, TIP + 2));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_waited_for_and_delays_no_other_scan() {
    let mut fixture = Fixture::start();
    let ((full, mut unread), (other, _kept)) = (fixture.client(1), fixture.client(2));
    while full.has_capacity() {
        assert!(!full.is_dead(), "a scan waits before its mailbox is full");
        full.post(of_bytes(10_000));
    }
    fixture.order("full", &full, 0, TIP);
    fixture.assert_waits().await;
    fixture.order("other", &other, 3, TIP);
    assert_eq!(fixture.scanned(done).await, one("other", 3, TIP));
    // Its client reads.
    while unread.try_next().is_some() {}
    assert_eq!(fixture.scanned(done).await, one("full", 0, TIP));
}

#[tokio::test(start_paused = true)]
async fn the_scan_of_a_client_that_has_left_is_dropped() {
    let mut fixture = Fixture::start();
    let (gone, reading) = fixture.client(1);
    fixture.order("gone", &gone, TIP + 1, TIP + 1);
    fixture.assert_waits().await;
    drop(reading);
    fixture.status.send_modify(|status| status.tip = tip(TIP + 1));
    fixture.assert_waits().await;
}
