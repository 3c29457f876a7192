use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_protocol::Topic;
use sdk_relay_protocol::http::{WebhookReplay, WebhookState};
use sdk_relay_store::testing::MemoryLog;
use sdk_relay_store::testing::conformance::{WIDE, append, change, hash};
use sdk_relay_store::{BlockChange, EventKind, EventLog, LogEntry, Retention};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::gap::{Gap, Reason};
use crate::metrics::WebhookMetrics;
use crate::problems::problem;
use crate::shown::shown;
use crate::source::LogSource;
use crate::timeouts::Timeouts;

/// What an endpoint answers: the statuses in their order, and then 200.
#[derive(Clone)]
struct Script(Arc<Mutex<VecDeque<u16>>>, mpsc::Sender<(Instant, String)>);

#[async_trait]
impl Post for Script {
    async fn post(&self, message: &Message) -> Result<StatusCode, Failure> {
        let status = self.0.lock().unwrap().pop_front().unwrap_or(200);
        // Without the id of the log, and without the hash of an event or the time of a gap.
        let name = message.id.splitn(3, '_').last().unwrap().rsplit_once('_').unwrap().0;
        self.1.try_send((Instant::now(), name.to_owned())).unwrap();
        match StatusCode::from_u16(status).unwrap() {
            status if status.is_success() => Ok(status),
            status => Err(Failure::Status { status, asked: None }),
        }
    }
}

/// An endpoint over a log in memory.
struct Fixture {
    log: Arc<MemoryLog>,
    head: watch::Sender<u64>,
    endpoint: Arc<Endpoint>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    posted: mpsc::Receiver<(Instant, String)>,
    tasks: JoinSet<()>,
    next: u64,
    dir: TempDir,
}

impl Fixture {
    /// It gets events about blocks, and none about relays.
    fn new(retention: Retention) -> Self {
        Self::with(retention, "")
    }

    /// The same with more settings.
    fn with(retention: Retention, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let toml = format!(
            "[webhooks.shop]\nurl = \"https://shop.example/\"\nevents = [\"block.*\"]\n\
             secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n{settings}\n"
        );
        std::fs::write(dir.path().join("sdk_relay.toml"), toml).unwrap();
        let config = Loader::new(Overrides::default().with_data_dir(dir.path()))
            .load()
            .unwrap();
        let webhook = config.webhooks[0].clone();
        let log = Arc::new(MemoryLog::new(retention));
        let head = watch::Sender::new(0);
        let source = Arc::new(LogSource::new(Arc::clone(&log) as Arc<dyn EventLog>, head.subscribe()));
        let positions = Arc::new(Positions::open(dir.path(), &["shop"], &*source).unwrap());
        let (sender, posted) = mpsc::channel(4096);
        let answers = Arc::<Mutex<VecDeque<u16>>>::default();
        let endpoint = Arc::new(Endpoint {
            keys: Arc::new(Keys::new(&webhook.secrets).unwrap()),
            retry: Retry::new(&webhook, &Timeouts::default()),
            config: webhook,
            post: Box::new(Script(Arc::clone(&answers), sender)),
            positions,
            source,
            metrics: WebhookMetrics::default().of("shop"),
            woken: Notify::new(),
            testing: Semaphore::new(1),
            status: Mutex::default(),
        });
        Self {
            log,
            head,
            endpoint,
            answers,
            posted,
            tasks: JoinSet::new(),
            next: 1,
            dir,
        }
    }

    fn run(&mut self) {
        self.tasks.spawn(Arc::clone(&self.endpoint).run());
        let positions = Arc::clone(&self.endpoint.positions);
        self.tasks.spawn(async move { positions.save_changes().await });
    }

    /// Commits so many events.
    fn commit(&mut self, kind: EventKind, count: u64) {
        for _ in 0..count {
            let entry = LogEntry {
                id: self.next,
                topic: Topic::Notifications,
                kind,
                height: None,
                block_hash: None,
                payload: Bytes::from_static(br#"{"data":{},"timestamp":7}"#),
            };
            append(&*self.log, [entry]);
            self.next += 1;
        }
        self.head.send_replace(self.next - 1);
    }

    fn replay(&self, next: u64, to: u64) {
        let replay = WebhookReplay {
            next,
            to,
            requested: unix_now(),
        };
        self.endpoint.change(|position| position.replay = Some(replay));
        self.endpoint.woken.notify_one();
    }

    fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses);
    }

    /// The last part of the id of the next message, and when it was posted.
    async fn posted(&mut self) -> (Instant, String) {
        self.posted.recv().await.unwrap()
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.posted().await.1);
        }
        names
    }

    /// Waits until its position is this one.
    async fn until(&self, is_it: impl Fn(&Position) -> bool) {
        while !is_it(&self.endpoint.position()) {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_other_types_are_skipped() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.commit(EventKind::RelayConnected, 300);
    f.commit(EventKind::BlockMined, 1);
    f.commit(EventKind::Tweaks, 1);
    f.commit(EventKind::BlockDisconnected, 1);
    assert_eq!(f.names(2).await, ["301", "303"]);
    f.until(|position| position.after == 303).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_posted_again_with_growing_pauses_and_the_next_one_waits() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.answer([500, 503, 404]);
    f.commit(EventKind::BlockMined, 2);
    let mut before = None;
    for expected in [0.0, 5.0, 20.0, 80.0] {
        let (at, name) = f.posted().await;
        assert_eq!(name, "1");
        let pause = before.map_or(0.0, |before| at.duration_since(before).as_secs_f64());
        assert!(
            (expected * 0.8..=expected * 1.2 + 0.1).contains(&pause),
            "{pause} for {expected}"
        );
        before = Some(at);
    }
    assert_eq!(f.posted().await.1, "2");
    f.until(|position| position.after == 2).await;
    let shown = shown(&f.endpoint, 2);
    assert_eq!((shown.deliveries, shown.failures, shown.failing_since), (2, 3, None));
    let [failure] = &shown.recent_failures[..] else {
        panic!("one message failed: {:?}", shown.recent_failures);
    };
    assert_eq!(
        (failure.event_id, failure.attempts, failure.status),
        (Some(1), 3, Some(404))
    );
}

/// The number is bounded, the newest failure is the first.
#[tokio::test(start_paused = true)]
async fn the_last_messages_that_failed_are_listed() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.answer([500_u16, 200].repeat(12));
    f.commit(EventKind::BlockMined, 12);
    f.until(|position| position.after == 12).await;
    let failures = shown(&f.endpoint, 12).recent_failures;
    let events: Vec<_> = failures.iter().map(|failure| failure.event_id.unwrap()).collect();
    assert_eq!(events, (3..=12).rev().collect::<Vec<_>>());
}

/// An endpoint that was away for a month gets its events within the hour, and nobody has to act for that.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_for_long_is_tried_once_an_hour_and_works_again() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.answer(std::iter::repeat_n(500, 100_000));
    f.commit(EventKind::BlockMined, 3);
    f.posted().await;
    sleep(Duration::from_secs(30 * 24 * 3600)).await;
    let said = problem(&f.endpoint).unwrap();
    assert!(
        said.contains("the webhook shop has failed since") && said.contains("{\"after_event\":1} skips it"),
        "{said}"
    );
    let mut attempts = 0;
    while f.posted.try_recv().is_ok() {
        attempts += 1;
    }
    assert!((600..900).contains(&attempts), "{attempts} in 720 h");
    f.answers.lock().unwrap().clear();
    let since = Instant::now();
    assert_eq!(f.names(3).await, ["1", "2", "3"]);
    assert!(since.elapsed() <= Duration::from_secs(4320), "an hour and a fifth");
    f.until(|position| position.after == 3).await;
    assert_eq!(problem(&f.endpoint), None);
}

/// It is tried once an hour for three days, a problem for the operator from the first minutes on.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_for_longer_than_disable_after_is_disabled_and_continues_where_it_stopped() {
    let mut f = Fixture::with(WIDE, "disable_after = 72");
    f.run();
    f.answer(std::iter::repeat_n(500, 1000));
    f.commit(EventKind::BlockMined, 1);
    let began = f.posted().await.0;
    assert_eq!(problem(&f.endpoint), None, "a restart of the endpoint is no problem");
    let mut attempts = 1;
    while f.endpoint.position().disabled.is_none() {
        tokio::select! {
            _ = f.posted.recv() => attempts += 1,
            () = sleep(Duration::from_secs(60)) => {}
        }
        if began.elapsed() > Duration::from_secs(700) && f.endpoint.position().disabled.is_none() {
            assert!(problem(&f.endpoint).is_some_and(|said| said.contains("the webhook shop has failed since")));
        }
    }
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    assert!(
        (72.0..=73.5).contains(&hours) && (50..150).contains(&attempts),
        "{attempts} in {hours} h"
    );
    let said = problem(&f.endpoint).unwrap();
    assert!(
        said.contains("is disabled") && said.contains("POST /webhooks/shop/enable"),
        "{said}"
    );
    // Quiet, whatever happens.
    f.commit(EventKind::BlockMined, 2);
    sleep(Duration::from_secs(100 * 3600)).await;
    assert!(f.posted.try_recv().is_err());

    f.answers.lock().unwrap().clear();
    f.endpoint.change(|position| position.disabled = None);
    f.endpoint.woken.notify_one();
    assert_eq!(f.names(3).await, ["1", "2", "3"]);
    assert_eq!(problem(&f.endpoint), None);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.answer([410]);
    f.commit(EventKind::BlockMined, 1);
    f.posted().await;
    f.until(|position| position.disabled.is_some()).await;
    assert!(problem(&f.endpoint).is_some_and(|said| said.contains("status 410")));
}

#[tokio::test(start_paused = true)]
async fn events_that_the_log_has_removed_are_a_gap() {
    let mut f = Fixture::new(Retention {
        events: 3,
        bytes: 1 << 20,
    });
    f.commit(EventKind::BlockMined, 10);
    f.answer([500]);
    f.run();
    // The gap itself is posted until it is delivered, with one id although the log removes more meanwhile.
    assert_eq!(f.posted().await.1, "gap_0_8");
    f.commit(EventKind::BlockMined, 3);
    assert_eq!(f.names(5).await, ["gap_0_8", "gap_7_11", "11", "12", "13"]);
    f.until(|position| position.after == 13 && position.gap.is_none()).await;
}

/// The relay could not follow the chain: no event is missing, but blocks without events are.
#[tokio::test(start_paused = true)]
async fn skipped_blocks_are_a_gap_between_the_events_around_them() {
    let mut f = Fixture::new(WIDE);
    change(&*f.log, BlockChange::Connect(1, hash(1)));
    f.commit(EventKind::BlockMined, 2);
    change(&*f.log, BlockChange::Jump(9, hash(9)));
    f.commit(EventKind::BlockMined, 1);
    f.run();
    assert_eq!(f.names(4).await, ["1", "2", "gap_2_3", "3"]);
    // Also if no event follows; once.
    change(&*f.log, BlockChange::Jump(20, hash(20)));
    f.head.send_modify(|_| {});
    assert_eq!(f.posted().await.1, "gap_3_4");
    f.commit(EventKind::BlockMined, 1);
    assert_eq!(f.posted().await.1, "4");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_read_is_a_gap() {
    let mut f = Fixture::new(WIDE);
    let damaged = LogEntry {
        id: 1,
        topic: Topic::Notifications,
        kind: EventKind::BlockMined,
        height: None,
        block_hash: None,
        payload: Bytes::from_static(b"{"),
    };
    append(&*f.log, [damaged]);
    f.next = 2;
    f.commit(EventKind::BlockMined, 1);
    f.run();
    assert_eq!(f.names(2).await, ["gap_0_2", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_comes_after_new_events_and_in_order() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.commit(EventKind::BlockMined, 3);
    f.commit(EventKind::RelayConnected, 300);
    f.commit(EventKind::BlockMined, 1);
    assert_eq!(f.names(4).await, ["1", "2", "3", "304"]);
    f.until(|position| position.after == 304).await;
    f.answer([500]);
    f.commit(EventKind::BlockMined, 2);
    f.replay(2, 304);
    assert_eq!(f.names(6).await, ["305", "305", "306", "2", "3", "304"]);
    f.until(|position| position.replay.is_none()).await;
    assert_eq!(f.endpoint.position().after, 306);
}

/// The endpoint refuses an old event: new ones are not delayed by the pauses, and do not shorten them.
#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_delays_no_new_event_and_can_be_cancelled() {
    let mut f = Fixture::new(WIDE);
    f.run();
    f.commit(EventKind::BlockMined, 2);
    assert_eq!(f.names(2).await, ["1", "2"]);
    f.until(|position| position.after == 2).await;
    f.answer([400, 400]);
    f.replay(1, 2);
    assert_eq!(f.names(2).await, ["1", "1"]);
    // Its pause is now 20 s.
    let failed = Instant::now();
    f.commit(EventKind::BlockMined, 1);
    f.commit(EventKind::RelayConnected, 1);
    assert_eq!(f.posted().await.1, "3");
    assert!(failed.elapsed() < Duration::from_secs(1));
    assert_eq!(shown(&f.endpoint, 4).state, WebhookState::Failing);
    f.answer([400]);
    let (at, name) = f.posted().await;
    assert!(name == "1" && at.duration_since(failed) >= Duration::from_secs(16));
    f.endpoint.change(|position| position.replay = None);
    f.endpoint.status().reset_replay();
    f.endpoint.woken.notify_one();
    f.commit(EventKind::BlockMined, 1);
    assert_eq!(f.posted().await.1, "5");
    f.until(|position| position.after == 5).await;
    assert_eq!(shown(&f.endpoint, 5).state, WebhookState::Active);
    sleep(Duration::from_secs(24 * 3600)).await;
    assert!(f.posted.try_recv().is_err(), "nothing is sent again");
}

/// An administrator ends a replay and begins another one while a message of the first is on its way.
#[tokio::test]
async fn what_is_left_of_a_replay_is_its_own() {
    let replay = |next, to| WebhookReplay { next, to, requested: 7 };
    let mut position = Position {
        replay: Some(replay(3, 5)),
        ..Position::default()
    };
    Done::Replayed(replay(3, 9), 4).apply(&mut position);
    assert_eq!(position.replay, Some(replay(3, 5)));
    Done::Replayed(replay(3, 5), 3).apply(&mut position);
    assert_eq!(position.replay, Some(replay(4, 5)));
    Done::Replayed(replay(4, 5), 5).apply(&mut position);
    assert_eq!(position.replay, None);
}

/// Also a gap whose next event is the one after the position.
#[tokio::test(start_paused = true)]
async fn a_gap_can_be_skipped_as_a_whole_or_in_part() {
    let mut f = Fixture::new(Retention {
        events: 3,
        bytes: 1 << 20,
    });
    f.commit(EventKind::BlockMined, 10);
    f.answer([400, 400]);
    f.run();
    assert_eq!(f.posted().await.1, "gap_0_8");
    f.endpoint.change(|position| position.skip(5));
    f.endpoint.woken.notify_one();
    assert_eq!(f.posted().await.1, "gap_5_8");
    f.endpoint.change(|position| position.skip(7));
    f.endpoint.woken.notify_one();
    assert_eq!(f.names(3).await, ["8", "9", "10"]);
    change(&*f.log, BlockChange::Connect(1, hash(1)));
    change(&*f.log, BlockChange::Jump(9, hash(9)));
    f.answer([400]);
    f.head.send_modify(|_| {});
    assert_eq!(f.posted().await.1, "gap_10_11");
    f.endpoint.change(|position| position.skip(10));
    f.endpoint.woken.notify_one();
    f.commit(EventKind::BlockMined, 1);
    assert_eq!(f.posted().await.1, "11");
}

/// The position that `GET /webhooks` shows, whatever the gap covers.
#[tokio::test(start_paused = true)]
async fn the_own_position_skips_every_kind_of_gap() {
    for (reason, next, hole) in [
        (Reason::Removed, 8, 0),
        (Reason::BlocksSkipped, 5, 5),
        (Reason::LogReplaced, 5, 0),
        (Reason::Unreadable, 6, 0),
    ] {
        let mut position = Position {
            after: 4,
            gap: Some(Gap {
                after: 4,
                next,
                hole,
                reason,
                noticed: 1,
            }),
            ..Position::default()
        };
        position.skip(4);
        assert_eq!(
            (position.after, position.hole, position.gap),
            (next - 1, hole, None),
            "{reason:?}"
        );
    }
}

/// What the file says after a kill is what continues.
#[tokio::test(start_paused = true)]
async fn a_gap_that_was_not_delivered_is_kept() {
    let mut f = Fixture::new(Retention {
        events: 3,
        bytes: 1 << 20,
    });
    f.commit(EventKind::BlockMined, 10);
    f.answer([500]);
    f.run();
    f.posted().await;
    let gap = f.endpoint.position().gap.unwrap();
    assert_eq!((gap.after, gap.next, gap.reason), (0, 8, Reason::Removed));
    f.tasks.shutdown().await;
    let kept = Positions::open(f.dir.path(), &["shop"], &*f.endpoint.source).unwrap();
    assert_eq!(kept.of("shop").gap, Some(gap));
}
