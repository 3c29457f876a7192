use proptest::prelude::*;

use super::*;
use crate::subscription::tests::{AUTH, P256DH};

fn recipient() -> Recipient {
    let subscription = Subscription::new("https://push.example/x", P256DH, AUTH, false).unwrap();
    Recipient {
        subscription: Arc::new(subscription),
        client: [9, 9, 9, 9].into(),
    }
}

fn failed(asked: Option<u64>) -> Outcome {
    Outcome::Failed {
        reason: "away".to_owned(),
        asked: asked.map(Duration::from_secs),
    }
}

/// A queue at a time that the test moves.
struct Stage {
    queue: Queue,
    to: Recipient,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        Self {
            queue: Queue::new(Timeouts::default()),
            to: recipient(),
            now: Instant::now(),
        }
    }

    fn wake(&mut self, watch: &str, count: u64) {
        self.queue.wake(watch, &self.to, count, self.now);
    }

    /// The watches whose messages are taken, with their counts.
    fn take(&mut self, most: usize) -> Vec<(String, u64)> {
        let jobs = self.queue.take(most, self.now).into_iter();
        jobs.map(|job| (job.watch_id.to_string(), job.count)).collect()
    }

    fn finish(&mut self, watch: &str, outcome: &Outcome) -> Then {
        self.queue.finished(&watch.into(), outcome, self.now)
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn jobs(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(watch, count)| ((*watch).to_owned(), *count)).collect()
}

#[test]
fn one_message_stands_for_all_matches_until_it_is_sent() {
    let mut stage = Stage::new();
    (1..=100).for_each(|count| stage.wake("a", count));
    assert_eq!(stage.take(9), jobs(&[("a", 100)]));
    // Matches while it is being sent are another message, after a pause.
    stage.wake("a", 101);
    stage.wake("a", 102);
    assert_eq!(stage.take(9), jobs(&[]));
    assert_eq!(stage.finish("a", &Outcome::Delivered), Then::Done);
    assert_eq!((stage.take(9), stage.queue.waiting()), (jobs(&[]), 1));
    stage.later(5);
    assert_eq!(stage.take(9), jobs(&[("a", 102)]));
    assert_eq!(stage.finish("a", &Outcome::Delivered), Then::Done);
    assert_eq!((stage.queue.next(), stage.queue.waiting()), (None, 0));
    // The pause holds for matches after it too.
    stage.wake("a", 103);
    assert_eq!(stage.take(9), jobs(&[]));
    stage.later(5);
    assert_eq!(stage.take(9), jobs(&[("a", 103)]));
}

#[test]
fn a_failing_push_service_is_tried_again_and_others_do_not_wait_for_it() {
    let mut stage = Stage::new();
    stage.wake("a", 1);
    assert_eq!(stage.take(1).len(), 1);
    for failure in 1..ATTEMPTS {
        let Then::Again(pause) = stage.finish("a", &failed(None)) else {
            panic!("given up after {failure}");
        };
        let least = (30 << (failure - 1)).min(3600);
        assert!(
            (least..=least * 5 / 4).contains(&pause.as_secs()),
            "{failure}: {pause:?}"
        );
        stage.wake("b", 1);
        assert!(stage.take(9).contains(&("b".to_owned(), 1)));
        assert_eq!(stage.finish("b", &Outcome::Delivered), Then::Done);
        stage.wake("a", u64::from(failure));
        stage.now += pause;
        assert_eq!(stage.take(9), jobs(&[("a", u64::from(failure))]));
    }
    assert_eq!(stage.finish("a", &failed(None)), Then::GivenUp);
    assert_eq!((stage.queue.next(), stage.queue.waiting()), (None, 0));
    // The next match begins again.
    stage.wake("a", 7);
    assert!(stage.queue.next().unwrap() > stage.now);
    stage.later(2 * 3600);
    assert_eq!(stage.take(9), jobs(&[("a", 7)]));
    assert!(matches!(stage.finish("a", &failed(None)), Then::Again(_)));
}

#[test]
fn a_pause_that_was_asked_for_is_kept_up_to_a_day() {
    for (asked, least) in [(7, 30), (600, 600), (u64::MAX, 86_400)] {
        let mut stage = Stage::new();
        stage.wake("a", 1);
        stage.take(1);
        let Then::Again(pause) = stage.finish("a", &failed(Some(asked))) else {
            panic!("given up");
        };
        assert!((least..=least * 5 / 4).contains(&pause.as_secs()), "{asked}: {pause:?}");
    }
}

#[test]
fn a_limit_of_the_relay_uses_up_no_attempt() {
    let mut stage = Stage::new();
    stage.wake("a", 1);
    for _ in 0..100 {
        assert_eq!(stage.take(1).len(), 1);
        let then = stage.finish("a", &Outcome::Postponed(Duration::from_secs(2)));
        assert!(matches!(then, Then::Again(pause) if (2..=3).contains(&pause.as_secs())));
        stage.later(3);
    }
}

#[test]
fn a_subscription_that_is_gone_gets_nothing_more_and_a_rejected_message_is_not_repeated() {
    let mut stage = Stage::new();
    stage.wake("gone", 1);
    stage.wake("rejected", 1);
    assert_eq!(stage.take(9).len(), 2);
    assert_eq!(stage.finish("gone", &Outcome::Gone), Then::Ended);
    assert_eq!(
        stage.finish("rejected", &Outcome::Rejected(String::new())),
        Then::GivenUp
    );
    assert_eq!(stage.queue.next(), None);
    stage.wake("gone", 2);
    stage.wake("rejected", 2);
    stage.later(3600);
    assert_eq!(stage.take(9), jobs(&[("rejected", 2)]));
}

#[test]
fn a_watch_that_ends_leaves_nothing() {
    let mut stage = Stage::new();
    for watch in ["due", "sending", "gone"] {
        stage.wake(watch, 1);
    }
    // In the order of their names.
    assert_eq!(stage.take(2), jobs(&[("due", 1), ("gone", 1)]));
    stage.finish("due", &failed(None));
    stage.finish("gone", &Outcome::Gone);
    stage.take(1);
    for watch in ["due", "sending", "gone", "unknown"] {
        stage.queue.ended(watch);
    }
    assert_eq!(stage.finish("sending", &failed(None)), Then::Done);
    assert!(stage.queue.entries.is_empty() && stage.queue.due.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Wake(u8),
    Take(usize),
    Finish(u8, u8),
    End(u8),
    Later(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8).prop_map(Step::Wake),
        (0..3_usize).prop_map(Step::Take),
        (0..4_u8, 0..5_u8).prop_map(|(watch, outcome)| Step::Finish(watch, outcome)),
        (0..4_u8).prop_map(Step::End),
        (0..4000_u64).prop_map(Step::Later),
    ]
}

proptest! {
    /// Whatever happens: the times are those of the entries, a watch has one message at a time, and one that was woken
    /// and is neither gone nor given up is sent in the end.
    #[test]
    fn the_times_are_those_of_the_entries(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut stage = Stage::new();
        let mut running = BTreeSet::new();
        for step in steps {
            match step {
                Step::Wake(watch) => stage.wake(&watch.to_string(), 1),
                Step::Take(most) => {
                    let taken = stage.take(most);
                    prop_assert!(taken.len() <= most);
                    for (watch, _) in taken {
                        prop_assert!(running.insert(watch));
                    }
                }
                Step::Finish(watch, outcome) => {
                    let watch = watch.to_string();
                    let outcome = match outcome {
                        0 => Outcome::Delivered,
                        1 => Outcome::Gone,
                        2 => Outcome::Rejected(String::new()),
                        3 => Outcome::Postponed(Duration::from_secs(1)),
                        _ => failed(None),
                    };
                    if running.remove(&watch) {
                        stage.finish(&watch, &outcome);
                    }
                }
                Step::End(watch) => {
                    stage.queue.ended(&watch.to_string());
                    running.remove(&watch.to_string());
                }
                Step::Later(seconds) => stage.later(seconds),
            }
            let entries = &stage.queue.entries;
            let due: BTreeSet<_> = entries
                .iter()
                .filter_map(|(id, entry)| match entry.state {
                    State::Due(at) => Some((at, Arc::clone(id))),
                    _ => None,
                })
                .collect();
            prop_assert_eq!(&due, &stage.queue.due);
            let sending = entries.values().filter(|entry| matches!(entry.state, State::Sending { .. }));
            prop_assert_eq!(sending.count(), running.len());
        }
    }
}
