use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, Txid};
use proptest::prelude::*;
use sdk_relay_protocol::{Event, Notification, PaymentSpent};

use super::*;
use crate::watch_message::PaymentMessage;

const MOST: usize = 4;

fn queued(from_height: u32) -> QueuedMessage {
    let spent = PaymentSpent {
        txid: String::new(),
        vout: 0,
        amount: String::new(),
        amount_sats: 0,
        address: String::new(),
        label: None,
        spent_by: None,
        vin: None,
        block_height: None,
        block_hash: None,
        confirmations: 0,
        timestamp: 0,
        fee_sats: None,
        watch_id: Some("watch-1".to_owned()),
        replaced_by: None,
    };
    let message = WatchMessage::Payment(Box::new(PaymentMessage {
        outpoint: OutPoint::new(Txid::all_zeros(), 0),
        notification: Notification {
            event: Event::PaymentSpent(Box::new(spent)),
            timestamp: 0,
            event_id: None,
            watch_seq: None,
        },
        found: None,
    }));
    QueuedMessage::about(message, from_height)
}

fn progress(height: u32, missing: bool) -> Box<WatchProgress> {
    let range = sdk_relay_protocol::MissingBlocks {
        from: 1,
        to: 2,
        reason: sdk_relay_protocol::MissingReason::Pruned,
    };
    Box::new(WatchProgress {
        watch_id: "watch-1".to_owned(),
        progress: 0.5,
        height,
        missing: missing.then_some(range).into_iter().collect(),
        timestamp: 0,
    })
}

/// What a client receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Match(u64),
    Gap(u64, u64, u32),
    Progress(u32),
}

fn got(message: &WatchMessage) -> Got {
    match message {
        WatchMessage::Payment(message) => Got::Match(message.notification.watch_seq.unwrap()),
        WatchMessage::Gap(gap) => Got::Gap(gap.first_watch_seq, gap.last_watch_seq, gap.from_height),
        WatchMessage::Progress(progress) => Got::Progress(progress.height),
        other => panic!("{other:?}"),
    }
}

fn read(kept: &mut Kept) -> Vec<Got> {
    std::iter::from_fn(|| kept.next(MOST)).map(|m| got(&m)).collect()
}

fn matches(range: std::ops::RangeInclusive<u64>) -> Vec<Got> {
    range.map(Got::Match).collect()
}

fn filled(matches: u32) -> Kept {
    let mut kept = Kept::new("watch-1");
    for n in 1..=matches {
        kept.add(queued(100 + n), MOST);
    }
    kept
}

#[test]
fn matches_are_kept_until_they_are_released_and_sent_again() {
    let mut kept = filled(3);
    assert_eq!(read(&mut kept), matches(1..=3));
    assert_eq!(read(&mut kept), []);
    kept.attach(1);
    assert_eq!(read(&mut kept), matches(2..=3));
    kept.release(3);
    assert_eq!((kept.matches(), kept.waiting(), kept.last()), (0, 0, 3));
    kept.attach(3);
    assert_eq!(read(&mut kept), []);
    kept.add(queued(1), MOST);
    assert_eq!(read(&mut kept), [Got::Match(4)]);
    // It cannot be sent what it has released.
    kept.attach(0);
    assert_eq!(read(&mut kept), [Got::Match(4)]);
}

#[test]
fn a_full_buffer_keeps_the_oldest_and_names_the_others() {
    let mut kept = filled(7);
    let gap = Gap {
        first: 5,
        last: 7,
        from_height: 105,
    };
    let contents = Contents {
        matches: MOST,
        first: Some(1),
        last: 7,
        gap: Some(gap),
    };
    assert_eq!(kept.contents(), contents);
    kept.attach(2);
    // What comes after the release is kept.
    kept.add(queued(90), MOST);
    assert_eq!(
        read(&mut kept),
        [Got::Match(3), Got::Match(4), Got::Gap(5, 7, 105), Got::Match(8)]
    );
    kept.attach(5);
    assert_eq!(read(&mut kept), [Got::Gap(6, 7, 105), Got::Match(8)]);
    kept.attach(7);
    assert_eq!(read(&mut kept), [Got::Match(8)]);
    assert_eq!(kept.contents().gap, None);
}

#[test]
fn a_connected_client_that_releases_nothing_misses_nothing() {
    let mut kept = Kept::new("watch-1");
    for n in 1..=20 {
        // As many as the mailbox allows while a client is attached.
        kept.add(queued(100), 2 * MOST);
        if n % 3 == 0 {
            assert_eq!(read(&mut kept), matches(n - 2..=n));
        }
    }
    assert_eq!(kept.unsent(), 2);
    assert_eq!(kept.detach(MOST), 2, "they were not sent");
    kept.attach(0);
    assert_eq!(read(&mut kept), [matches(1..=4), vec![Got::Gap(5, 20, 100)]].concat());
}

#[test]
fn progress_follows_its_matches_and_only_the_newest_is_sent() {
    let mut kept = filled(1);
    kept.set_progress(progress(10, true));
    kept.add(queued(1), MOST);
    kept.set_progress(progress(20, false));
    let all: Vec<WatchMessage> = std::iter::from_fn(|| kept.next(MOST)).collect();
    assert_eq!(
        all.iter().map(got).collect::<Vec<_>>(),
        [Got::Match(1), Got::Match(2), Got::Progress(20)]
    );
    let Some(WatchMessage::Progress(last)) = all.last() else {
        panic!()
    };
    assert_eq!(last.missing.len(), 1, "that of the progress that was not sent");
    kept.attach(2);
    assert_eq!(read(&mut kept), [Got::Progress(20)], "the next connection learns of it");
}

#[test]
fn memory_is_freed_from_the_newest_on() {
    let mut kept = filled(4);
    assert!(kept.lose_newest() && kept.lose_newest());
    assert_eq!(read(&mut kept), [Got::Match(1), Got::Match(2), Got::Gap(3, 4, 103)]);
    kept.add(queued(50), MOST);
    assert!(kept.lose_newest());
    kept.attach(0);
    assert_eq!(read(&mut kept), [Got::Match(1), Got::Match(2), Got::Gap(3, 5, 50)]);
    assert!(kept.lose_newest() && kept.lose_newest() && !kept.lose_newest());
    kept.attach(0);
    assert_eq!(read(&mut kept), [Got::Gap(1, 5, 50)]);
    kept.clear();
    assert_eq!((read(&mut kept), kept.waiting()), (Vec::new(), 0));
}

#[derive(Clone, Debug)]
enum Step {
    Add,
    Lose,
    /// Read so many messages.
    Read(u8),
    /// The connection ends, and the next one has stored what it has read, or less.
    Again(u8),
    Release(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Add),
        1 => Just(Step::Lose),
        2 => (0u8..6).prop_map(Step::Read),
        1 => (0u8..4).prop_map(Step::Again),
        1 => (0u8..6).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    /// Whatever happens, a client is handed every number once on a connection, in order, as a match or in a gap, and
    /// what it did not release is handed to the next.
    #[test]
    fn every_number_is_handed_over_in_order(steps in steps()) {
        let mut kept = Kept::new("watch-1");
        let (mut stored, mut released, mut last) = (0, 0, 0);
        let take = |kept: &mut Kept, stored: &mut u64| {
            let Some(message) = kept.next(MOST) else { return false };
            match got(&message) {
                Got::Match(seq) => {
                    assert_eq!(seq, *stored + 1);
                    *stored = seq;
                }
                Got::Gap(first, last, _) => {
                    assert_eq!(first, *stored + 1);
                    assert!(last >= first);
                    *stored = last;
                }
                Got::Progress(_) => {}
            }
            true
        };
        for step in steps {
            match step {
                Step::Add => {
                    kept.add(queued(1), 2 * MOST);
                    last += 1;
                }
                Step::Lose => drop(kept.lose_newest()),
                Step::Read(n) => {
                    for _ in 0..n {
                        take(&mut kept, &mut stored);
                    }
                }
                Step::Again(back) => {
                    stored = stored.saturating_sub(back.into()).max(released);
                    kept.detach(MOST);
                    prop_assert!(kept.matches() <= MOST);
                    kept.attach(stored);
                    released = stored;
                }
                Step::Release(back) => {
                    released = released.max(stored.saturating_sub(back.into()));
                    kept.release(released);
                }
            }
            prop_assert_eq!(kept.waiting(), last - released);
            let contents = kept.contents();
            prop_assert_eq!(contents.first, (released < last).then_some(released + 1));
            prop_assert!(kept.matches() <= 2 * MOST);
        }
        while take(&mut kept, &mut stored) {}
        prop_assert_eq!(stored, last);
    }
}
